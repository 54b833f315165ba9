import { describe, expect, test, vi } from 'vitest';
import { morphStages } from '../../src/sharding/keeper/epoch.ts';
import type { Keeper } from '../../src/sharding/keeper/keeper.ts';
import { turnExitOnce } from '../../src/sharding/keeper/secret-stage.ts';
import type { LocalShardedRun, OuterTrained } from '../../src/sharding/local/run.ts';
import { morphFrom } from '../../src/sharding/parts/morph.ts';
import { closeSharded, openSharded } from '../../src/sharding/parts/sharded-model.ts';
import { shardedPredict, shardedStep } from '../../src/sharding/parts/sharded-step.ts';
import { Stage } from '../../src/sharding/parts/stage.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import { cutParameters, openTinyRun } from '../support/sharded-run.ts';
import { distance, FEATURE_WIDTH, keyOf, startOf, tinyStaged, tinyTasks } from '../support/sharding.ts';

const options = tinyStaged();
const parameters = startOf(options);
const { outer, stages } = cutParameters(options, parameters);
const RATES = Array.from({ length: 12 }, () => 0.003);
const tasks = tinyTasks(3 * RATES.length);
const taskOf = (group: string, step: number) => tasks[3 * step + 'abc'.indexOf(group)]!;
const trainRound = (run: LocalShardedRun, groups: readonly string[], place = { round: 1, attempt: 0 }) =>
  run.train({ ...place, groups, learningRates: RATES, outer, batchOf: taskOf });
const stageMasters = (run: LocalShardedRun) => run.memory().flatMap(({ stage }) => [...stage.masters]);

/** The same parts in one place, the private turns of the keepers included. */
async function openParts() {
  const model = await openSharded({
    options,
    parameters,
    optimizer: ADAM_DEFAULTS,
    featureWidth: FEATURE_WIDTH,
  });
  for (const [index, stage] of model.stages.entries()) {
    turnExitOnce(stage, options.width, keyOf('secret', `keeper ${index}`));
  }
  return model;
}

describe('a round through keepers', () => {
  test('of one group is, bit by bit, training of the same parts in one place', async () => {
    const run = await openTinyRun(options, stages);
    const parts = await openParts();
    const [trained] = await trainRound(run, ['a']);
    for (const [step, rate] of RATES.entries()) await shardedStep(parts, [taskOf('a', step)], rate);
    expect(trained!.front).toEqual(parts.front.masters());
    expect(trained!.head).toEqual(parts.head.masters());
    expect(stageMasters(run)).toEqual(parts.stages.flatMap((stage) => [...stage.masters()]));
    expect(distance(trained!.front, outer.front)).toBeGreaterThan(1e-3);
    run.beginPredictions(trained!);
    const [task] = tinyTasks(1, 9);
    expect(await run.predict('b', task!)).toEqual(await shardedPredict(parts, task!));
    await Promise.all([run.close(), closeSharded(parts)]);
  });

  test('of three groups gives each its own front and head, and the stages what all groups tell them', async () => {
    const run = await openTinyRun(options, stages);
    const trained = await trainRound(run, ['a', 'b', 'c']);
    expect(run.keepers.every(({ done }) => done)).toBe(true);
    expect(distance(trained[0]!.front, trained[1]!.front)).toBeGreaterThan(1e-4);
    const alone = await openTinyRun(options, stages);
    await trainRound(alone, ['a']);
    expect(stageMasters(alone)).not.toEqual(stageMasters(run));
    await Promise.all([run.close(), alone.close()]);
  });

  test('comes to the same bits in whatever order groups are served, and in a second attempt', async () => {
    const [once, other] = [await openTinyRun(options, stages), await openTinyRun(options, stages)];
    const expected = await trainRound(once, ['a', 'b', 'c']);
    // An attempt that came to another end leaves nothing.
    await trainRound(other, ['b'], { round: 1, attempt: 0 });
    const found = await other.train({
      ...{ round: 1, attempt: 1, groups: ['a', 'b', 'c'], learningRates: RATES, outer },
      batchOf: taskOf,
    });
    const trained = ({ front, head, loss }: OuterTrained) => ({ front, head, loss });
    expect(found.map(trained)).toEqual(expected.map(trained));
    expect(stageMasters(other)).toEqual(stageMasters(once));
    await expect(trainRound(other, ['a'], { round: 1, attempt: 1 })).rejects.toMatchObject({
      code: 'ROUND_REFUSED',
    });
    await Promise.all([once.close(), other.close()]);
  });

  test('with frames of int8 trains nearly the same, and not the same', async () => {
    const exact = await openTinyRun(options, stages);
    const short = await openTinyRun(options, stages, { frames: 'int8' });
    const [expected] = await trainRound(exact, ['a']);
    const [found] = await trainRound(short, ['a']);
    expect(distance(found!.front, expected!.front)).toBeGreaterThan(0);
    expect(Math.abs(found!.loss - expected!.loss)).toBeLessThan(0.05 * Math.abs(expected!.loss));
    expect(found!.traffic.sent).toBeLessThan(0.7 * expected!.traffic.sent);
    await Promise.all([exact.close(), short.close()]);
  });
});

describe('an epoch', () => {
  test('changes the stages and not what they compute, and training goes on as if there were none', async () => {
    const [run, still] = [await openTinyRun(options, stages), await openTinyRun(options, stages)];
    const places = [1, 2, 3].map((round) => ({ round, attempt: 0 }));
    for (const place of places) {
      const [found, expected] = [
        await trainRound(run, ['a', 'b'], place),
        await trainRound(still, ['a', 'b'], place),
      ];
      for (const [index, { front, loss }] of found.entries()) {
        expect(distance(front, expected[index]!.front)).toBeLessThan(1e-5);
        expect(Math.abs(loss - expected[index]!.loss)).toBeLessThan(1e-5);
      }
      expect(await run.morph()).toBe(true);
    }
    expect(run.epoch).toBe(3);
    expect(
      distance(Float64Array.from(stageMasters(run)), Float64Array.from(stageMasters(still))),
    ).toBeGreaterThan(0.1);
    await Promise.all([run.close(), still.close()]);
  });

  test('that does not fit is taken back by all, links and stages, and the next one is taken', async () => {
    const run = await openTinyRun(options, stages);
    await trainRound(run, ['a']);
    const before = run.memory();
    vi.spyOn(Stage.prototype, 'foldInside').mockImplementationOnce(function (this: Stage) {
      this.foldExit(morphFrom(keyOf('another rotation'), options.width));
    });
    expect(await run.morph()).toBe(false);
    expect(run.memory()).toEqual(before);
    expect(await run.morph()).toBe(true);
    expect(run.epoch).toBe(1);
    await run.close();
  });

  test('in which a keeper does not turn is taken back by the others', async () => {
    const run = await openTinyRun(options, stages);
    const [first, middle, last] = run.keepers as readonly [Keeper, Keeper, Keeper];
    const before = run.memory();
    const done = async () => {};
    const idle = {
      probe: middle.probe,
      found: async () => null,
      turn: done,
      share: async () => [],
      settle: done,
    };
    const carry = async (frame: Uint8Array): Promise<void> => {
      for (const one of await middle.receive(frame)) await last.receive(one);
    };
    await expect(morphStages([first, idle, last], { carry })).rejects.toMatchObject({
      code: 'FRAME_REFUSED',
    });
    expect(run.memory()).toEqual(before);
    await run.close();
  });

  test('goes on from what was remembered', async () => {
    const [run, other] = [await openTinyRun(options, stages), await openTinyRun(options, stages)];
    await run.morph();
    await trainRound(run, ['a', 'c']);
    await other.restore(run.memory());
    expect(other.epoch).toBe(1);
    for (const one of [run, other]) {
      await one.morph();
      await trainRound(one, ['b'], { round: 2, attempt: 0 });
    }
    expect(other.memory()).toEqual(run.memory());
    await Promise.all([run.close(), other.close()]);
  });
});
