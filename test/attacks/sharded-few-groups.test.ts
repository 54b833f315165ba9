import { afterEach, describe, expect, test } from 'vitest';
import { cast, closeCasts, rounds } from '../support/sharded-cast.ts';
import { cutParameters, openTinyRun } from '../support/sharded-run.ts';
import { startOf, tinyStaged, tinyTasks } from '../support/sharding.ts';

// Trainings of a sharded run with so few groups that a stage's step tells the gradient of each: keepers refuse them, and the course orders none.

afterEach(closeCasts);
const PATIENCE_MS = 400;

describe('a keeper', () => {
  test('begins no round of fewer groups than the run has, and loses nothing by the order', async () => {
    const options = tinyStaged();
    const { outer, stages } = cutParameters(options, startOf(options));
    const [task] = tinyTasks(1);
    const run = await openTinyRun(options, stages, { leastGroups: 2 });
    const train = (round: number, groups: readonly string[]) =>
      run.train({ round, attempt: 0, groups, learningRates: [0.01], outer, batchOf: () => task! });
    try {
      const before = run.memory();
      for (const groups of [[], ['a']]) {
        await expect(train(1, groups)).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
      }
      // The same group twice is one.
      await expect(train(1, ['a', 'a'])).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
      expect(run.memory()).toEqual(before);
      expect(await train(1, ['a', 'b'])).toHaveLength(2);
    } finally {
      await run.close();
    }
  });

  test('of a deployed run goes by the quorum that it joined by, whatever the aggregator orders', async () => {
    const all = cast([], { patienceMs: PATIENCE_MS });
    const { world } = all;
    await all.train(1);
    const honest = world.round(2, [0]);
    const alone = all.trainers[0]!.train({ round: 2, attempt: 1 }, all.received).catch((thrown) => thrown);
    world.wanted = { ...honest, leastGroups: 1 };
    await expect
      .poll(() => world.troubles.join(), { timeout: 20_000 })
      .toContain('it has 1 groups, and no round has fewer than 2');
    expect(rounds(all)).toEqual([1, 1, 1]);
    expect(world.relay.course?.training?.round).not.toBe(2);
    await closeCasts();
    expect(await alone).toMatchObject({ code: 'INTERRUPTED' });
  });
});

describe('the course of a run', () => {
  test('waits for as many groups as a round needs, and says so', async () => {
    const all = cast([], { patienceMs: PATIENCE_MS });
    const { world } = all;
    await all.train(1);
    const training = all.train(2, [0]);
    await expect
      .poll(() => world.troubles.join(), { timeout: 20_000 })
      .toContain('1 groups are ready to train in round 2, of 2 at least');
    expect(rounds(all)).toEqual([1, 1, 1]);
    const second = all.trainers[1]!.train({ round: 2, attempt: 1 }, all.received);
    expect([...(await training), (await second).loss].every(Number.isFinite)).toBe(true);
    expect(world.relay.course?.training?.groups).toHaveLength(2);
  });

  test('leaves out no silent group that a round needs: it begins again with it', async () => {
    const all = cast([], { patienceMs: PATIENCE_MS, overrides: ['round.quorum=3'] });
    const { world } = all;
    await all.train(1);
    const one = world.seats.groups[2]!.id;
    let isSilent = true;
    world.isSent = ({ from, step }) => !(isSilent && from === one && step === 1);
    const training = all.train(2);
    await expect
      .poll(() => world.troubles.join(), { timeout: 20_000 })
      .toContain(`the training waits for ${one}, and cannot go on without: it is of 3 groups at least`);
    isSilent = false;
    expect(await training).toHaveLength(3);
    expect(world.relay.course?.training?.groups).toHaveLength(3);
  });
});
