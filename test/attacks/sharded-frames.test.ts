import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { stagedLayout } from '../../src/predictor/staged/parameters.ts';
import { stagedParts } from '../../src/predictor/staged/parts.ts';
import { readFrame } from '../../src/sharding/frames/sealed-frame.ts';
import type { Keeper } from '../../src/sharding/keeper/keeper.ts';
import type { LocalShardedRun } from '../../src/sharding/local/run.ts';
import { cutParameters, openTinyRun } from '../support/sharded-run.ts';
import { FEATURE_WIDTH, startOf, tinyStaged, tinyTasks } from '../support/sharding.ts';

// What a relay, an aggregator that orders, and whoever listens can do to a run of honest groups and keepers.

const options = tinyStaged();
const { outer, stages } = cutParameters(options, startOf(options));
const tasks = tinyTasks(12);
const RATES = [0.003, 0.003];
const batchOf = (group: string, step: number) => tasks[3 * step + 'abc'.indexOf(group)]!;
const FRAME_REFUSED = expect.objectContaining({ code: 'FRAME_REFUSED' });

interface Carried {
  readonly to: string;
  readonly frame: Uint8Array;
}

/** A run, and all that its relay carried in a round of two groups. */
async function recorded() {
  const carried: Carried[] = [];
  const run = await openTinyRun(options, stages, { seen: (to, frame) => carried.push({ to, frame }) });
  await run.train({ round: 1, attempt: 0, groups: ['a', 'b'], learningRates: RATES, outer, batchOf });
  return { run, carried };
}

let run: LocalShardedRun;
let carried: readonly Carried[];
beforeAll(async () => {
  ({ run, carried } = await recorded());
});
afterAll(() => run.close());

const toKeeper = (index: number) => carried.filter(({ to }) => to === idOf(index));
const idOf = (index: number) => {
  const boundary = carried
    .map(({ frame }) => readFrame(frame).header)
    .find((header) => header.boundary === index);
  return boundary!.to;
};
const keeper = (index: number): Keeper => run.keepers[index]!;
const masters = () => run.memory().flatMap(({ stage }) => [...stage.masters]);

describe('a relay', () => {
  test('that hands frames over again changes nothing, in the same attempt, the next, or the next round', async () => {
    const before = masters();
    const order = {
      groups: [...new Set(toKeeper(0).map(({ frame }) => readFrame(frame).header.group))],
      learningRates: RATES,
    };
    for (const place of [
      { round: 1, attempt: 0 },
      { round: 1, attempt: 1 },
      { round: 2, attempt: 0 },
    ]) {
      if (place.round + place.attempt > 1)
        for (const one of run.keepers) await one.begin({ ...order, ...place });
      for (const [index, one] of run.keepers.entries()) {
        for (const { frame } of toKeeper(index))
          await expect(one.receive(frame)).rejects.toEqual(FRAME_REFUSED);
      }
    }
    // The second attempt went back to where the round began, and a replay took it nowhere.
    expect(masters()).not.toEqual(before);
    const fresh = await openTinyRun(options, stages);
    expect(masters()).toEqual(fresh.memory().flatMap(({ stage }) => [...stage.masters]));
    await fresh.close();
  });

  test('that hands a frame to another keeper is refused', async () => {
    for (const { frame } of toKeeper(0)) {
      await expect(keeper(1).receive(frame)).rejects.toEqual(FRAME_REFUSED);
      await expect(keeper(2).receive(frame)).rejects.toEqual(FRAME_REFUSED);
    }
  });

  test('carries no number of a front, a stage or an answer', () => {
    const all = Buffer.concat(carried.map(({ frame }) => frame));
    const parts = stagedParts(stagedLayout(options, FEATURE_WIDTH), options);
    expect(parts.stages).toHaveLength(3);
    for (const vector of [outer.front, outer.head, ...stages]) {
      const values = Float32Array.from(vector);
      // Eight bytes of two neighbouring parameters are in no frame by chance.
      for (let at = 0; at + 2 <= values.length; at += 2) {
        const [one, two] = [values[at]!, values[at + 1]!];
        if (one === 0 || two === 0) continue;
        expect(all.includes(Buffer.from(bytesOf(Float32Array.of(one, two))))).toBe(false);
      }
    }
    for (const { context } of tasks) {
      expect(all.includes(Buffer.from(bytesOf(context.probabilities.subarray(0, 2))))).toBe(false);
    }
  });
});

describe('who is to begin', () => {
  test('an attempt that was, or is over, is refused, and the stage stays', async () => {
    const { run: own } = await recorded();
    const before = own.memory();
    const order = { groups: [], learningRates: RATES };
    for (const place of [
      { round: 1, attempt: 0 },
      { round: 0, attempt: 5 },
    ]) {
      for (const one of own.keepers) {
        await expect(one.begin({ ...order, ...place })).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
      }
    }
    expect(own.memory()).toEqual(before);
    await own.close();
  });

  test('while a morph is not settled is refused; so is a second morph, and a settling of none', async () => {
    const { run: own } = await recorded();
    const [one] = own.keepers as readonly [Keeper, Keeper, Keeper];
    await expect(one.settle(true)).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
    await one.turn();
    const order = { round: 2, attempt: 0, groups: [], learningRates: RATES };
    await expect(one.begin(order)).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
    await expect(one.turn()).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
    await one.settle(false);
    await one.begin(order);
    await own.close();
  });
});

test('what a keeper remembers after a morph has nothing of the stage before it', async () => {
  const { run: own } = await recorded();
  const before = own.memory();
  await own.morph();
  // An attempt of the same round would go back to its beginning: that must be of this epoch, too.
  const trained = await own.train({
    round: 2,
    attempt: 0,
    groups: ['a'],
    learningRates: RATES,
    outer,
    batchOf,
  });
  const again = await own.train({
    round: 2,
    attempt: 1,
    groups: ['a'],
    learningRates: RATES,
    outer,
    batchOf,
  });
  expect(again[0]!.front).toEqual(trained[0]!.front);
  for (const [index, { stage, links }] of own.memory().entries()) {
    expect(links.epoch).toBe(1);
    expect(stage.masters).not.toEqual(before[index]!.stage.masters);
    for (const [other, secret] of links.secrets) {
      const [, old] = before[index]!.links.secrets.find(([id]) => id === other)!;
      expect(secret).not.toEqual(old);
    }
  }
  await own.close();
});
