import { afterEach, describe, expect, test } from 'vitest';
import { begun, cast, closeCasts, epochs, order, outerOf, rounds, stored } from '../support/sharded-cast.ts';

// The course of a sharded run, with keepers, relay and groups as they are deployed, where somebody is lost at the worst moment.

afterEach(closeCasts);

describe('the course of a sharded run', () => {
  test('trains round for round, with a morph where an epoch begins, and tells who stands by', async () => {
    // Nobody is lost, however busy the machine is.
    const all = cast([1], { patienceMs: 60_000 });
    for (const round of [1, 2, 3, 4, 5]) await all.train(round);
    expect(epochs(all, [0, 1, 2, 3])).toEqual([2, 2, 2, 2]);
    expect(rounds(all, [0, 1, 2, 3])).toEqual([5, 5, 5, 5]);
    expect(stored(all, 3).memory.stage).toEqual(stored(all, 1).memory.stage);
    expect(all.world.troubles).toEqual([]);
    // What a seat was taken with is gone where the stage is stored.
    expect(all.keepers.map((_, index) => all.world.homeOf(index).hasSeatSecrets)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  test.each([0, 1, 2])(
    'goes on with who stands by where the keeper of stage %i is lost in the middle of a round',
    async (stage) => {
      const all = cast([stage]);
      await all.train(1);
      const training = all.train(2);
      await begun(all.keepers[stage]!, 2);
      await all.keepers[stage]!.stop();
      const losses = await training;
      expect(losses.every(Number.isFinite)).toBe(true);
      await all.train(3);
      const others = [0, 1, 2].filter((one) => one !== stage);
      expect(epochs(all, [...others, 3])).toEqual([1, 1, 1]);
      expect(all.world.memory?.keeping[stage]).toBe(all.world.seats.standbys[0]!.seat.id);
      expect(all.world.troubles.join()).toContain('not heard of any more');
    },
  );

  test('waits for a keeper for whom nobody stands by, which goes on from its folder', async () => {
    const all = cast();
    await all.train(1);
    const before = stored(all, 1);
    await all.keepers[1]!.stop();
    const training = all.train(2);
    await expect
      .poll(() => all.world.troubles.join(), { timeout: 20_000 })
      .toContain('nobody who is there can keep stage 1');
    expect(stored(all, 1)).toEqual(before);
    all.keepers[1] = all.world.serve(1);
    await training;
    expect(rounds(all)).toEqual([2, 2, 2]);
  });

  test('leaves out a group that does not come, and begins again without one that is lost', async () => {
    const all = cast();
    await all.train(1, [0, 1]);
    const training = all.train(2, [0, 1]);
    const lost = all.trainers[2]!.train({ round: 2, attempt: 1 }, new Float32Array(0)).catch(
      (thrown) => thrown,
    );
    await all.trainers[2]!.close();
    await training;
    expect(await lost).toMatchObject({ code: 'INTERRUPTED' });
    expect(rounds(all)[0]).toBeGreaterThanOrEqual(2);
  });

  test('goes on where the aggregator was started again, and a round that is opened again is another training', async () => {
    const all = cast([0]);
    await all.train(1);
    const training = all.train(2);
    await begun(all.keepers[0]!, 2);
    await all.world.restart();
    await training;
    await all.train(2, [0, 1, 2], 2);
    await all.train(3);
    expect(epochs(all, [0, 1, 2, 3])).toEqual([1, 1, 1, 1]);
    expect(new Set(rounds(all, [0, 1, 2])).size).toBe(1);
    expect(rounds(all)[0]).toBeGreaterThanOrEqual(4);
  });

  test.each(['probe', 'turn', 'settle'] as const)(
    'settles a morph that its own end, or that of a keeper, broke off behind "%s"',
    async (kind) => {
      const all = cast([2]);
      await all.train(1);
      await all.train(2);
      const training = all.train(3);
      await order(all.keepers[0]!, kind);
      await Promise.all([all.world.restart(), all.keepers[1]!.stop()]);
      all.keepers[1] = all.world.serve(1);
      await training;
      await all.train(4);
      const now = epochs(all, [0, 1, 2, 3]);
      expect(new Set(now).size).toBe(1);
      expect(now[0]).toBeGreaterThanOrEqual(1);
      expect(stored(all, 1).turned).toBe(false);
    },
  );

  test('takes a group again that was started again, epochs later, from its links alone', async () => {
    const all = cast();
    const links = all.world.links(2);
    await all.train(1);
    expect(links.seatSecret()).toBeNull();
    await all.trainers[2]!.close();
    for (const round of [2, 3]) await all.train(round, [0, 1]);
    all.trainers[2] = all.world.trainer(2);
    const losses = await all.train(4);
    expect(losses).toHaveLength(3);
    expect(links.links?.links.epoch).toBe(1);
  });

  test('predicts through the keepers between rounds', async () => {
    const all = cast();
    await all.train(1);
    const parameters = new Float32Array(outerOf(all)).fill(0.01);
    const context = [0, 1, 2];
    const shares = await all.trainers[0]!.predicting(parameters, (predict) =>
      predict({ group: 0, context, targets: [5, 6] }),
    );
    expect(shares!.map((one) => Array.from(one).reduce((sum, share) => sum + share, 0))).toEqual([
      expect.closeTo(1, 5),
      expect.closeTo(1, 5),
    ]);
  });
});
