import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { stagedLayout } from '../../src/predictor/staged/parameters.ts';
import { stagedParts } from '../../src/predictor/staged/parts.ts';
import { Link } from '../../src/sharding/frames/link.ts';
import { openFrame, readFrame } from '../../src/sharding/frames/sealed-frame.ts';
import { checkSeats, type Seat } from '../../src/sharding/frames/seats.ts';
import { boundedGradients } from '../../src/sharding/keeper/gradients.ts';
import type { Keeper } from '../../src/sharding/keeper/keeper.ts';
import type { RoundOrder } from '../../src/sharding/keeper/round-ledger.ts';
import type { LocalShardedRun } from '../../src/sharding/local/run.ts';
import type { FrameHeader } from '../../src/wire/shard-frame.ts';
import { cutParameters, openTinyRun, participantOf, RUN } from '../support/sharded-run.ts';
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

test('a round that was given up in the middle leaves nothing, whatever is ordered next, and no morph begins in it', async () => {
  const own = await openTinyRun(options, stages);
  const before = own.memory();
  const group = participantOf(own, 'group a', options);
  const order = { attempt: 0, groups: [group.identity.publicKey], learningRates: RATES };
  for (const one of own.keepers) await one.begin({ ...order, round: 1 });
  const [first] = own.keepers as readonly [Keeper, Keeper, Keeper];
  await first.receive(
    group.frameTo(own.seats.keepers[0]!.id, new Float32Array(8 * options.width).fill(0.1), {}),
  );
  await expect(first.turn()).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
  for (const one of own.keepers) await one.begin({ ...order, round: 2 });
  expect(own.memory().map(({ stage }) => stage)).toEqual(before.map(({ stage }) => stage));
  await own.close();
});

test('after a morph no attempt of the round before it begins', async () => {
  const { run: own } = await recorded();
  await own.morph();
  const order = { round: 1, attempt: 1, groups: [], learningRates: RATES };
  await expect(own.keepers[0]!.begin(order)).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
  await own.close();
});

test.each([
  ['a rate that is none', { learningRates: [Number.NaN] }],
  ['a negative rate', { learningRates: [-1] }],
  ['a group twice', { groups: 'twice' }],
  ['a stranger', { groups: ['f'.repeat(64)] }],
])('an order with %s is refused', async (_, changes) => {
  const own = await openTinyRun(options, stages);
  const [a] = own.seats.groups.map(({ id }) => id);
  const groups = 'groups' in changes ? (changes.groups === 'twice' ? [a!, a!] : changes.groups) : [a!];
  const order = { round: 1, attempt: 0, learningRates: RATES, ...changes, groups } as RoundOrder;
  await expect(own.keepers[0]!.begin(order)).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
  await own.close();
});

describe('a group', () => {
  /** The last keeper with a task of a group, 5 points told and 3 asked, on its way back. */
  async function onItsWay() {
    let way: readonly Uint8Array[] = [];
    const own = await openTinyRun(options, stages);
    const group = participantOf(own, 'group a', options);
    const ids = own.seats.keepers.map(({ id }) => id);
    const order = { round: 1, attempt: 0, groups: [group.identity.publicKey], learningRates: RATES };
    for (const one of own.keepers) await one.begin(order);
    const points = Float32Array.from({ length: 8 * options.width }, (_, i) => Math.sin(i));
    way = [group.frameTo(ids[0]!, points, {})];
    for (const one of own.keepers) way = (await Promise.all(way.map((frame) => one.receive(frame)))).flat();
    const back = (data: Float32Array, changes: Partial<FrameHeader> = {}) =>
      group.frameTo(ids[2]!, data, { kind: 'backward', boundary: 3, sequence: 1, ...changes });
    return { own, group, ids, back, last: own.keepers[2]! };
  }
  const dy = (value: number) => new Float32Array(3 * options.width).fill(value);

  test('that goes back with other points than it came with is refused, and ends no process', async () => {
    const { own, back, last } = await onItsWay();
    for (const context of [1, 4, 9, 60, 60_000]) {
      await expect(last.receive(back(dy(0.1), { context }))).rejects.toEqual(FRAME_REFUSED);
    }
    const fewer = new Float32Array(options.width).fill(0.1);
    await expect(last.receive(back(fewer, { context: 7, target: 1 }))).rejects.toEqual(FRAME_REFUSED);
    expect(await last.receive(back(dy(0.1)))).toHaveLength(1);
    await own.close();
  });

  test('with a gradient that is not finite spoils no stage', async () => {
    const { own, back, last } = await onItsWay();
    const before = last.memory().stage;
    await expect(last.receive(back(dy(3e38)))).rejects.toMatchObject({ code: 'NOT_FINITE' });
    expect(last.memory().stage).toEqual(before);
    await own.close();
  });

  test('with more points than a task has, without a seat, or with a query in the middle of a morph is refused', async () => {
    const { own, group, ids } = await onItsWay();
    const many = new Float32Array(130 * options.width);
    const query = { kind: 'query', round: 0 } as const;
    for (const [data, changes] of [
      [many, { ...query, context: 65, target: 65 }],
      [many.subarray(0, 8 * options.width), { ...query, group: ids[1]! }],
    ] as const) {
      const frame = group.frameTo(ids[0]!, data, changes);
      await expect(own.keepers[0]!.receive(frame)).rejects.toEqual(FRAME_REFUSED);
    }
    await own.close();
    const fresh = await openTinyRun(options, stages);
    await fresh.keepers[0]!.turn();
    const asked = { ...query, epoch: 1 };
    const frame = group.frameTo(ids[0]!, many.subarray(0, 8 * options.width), asked);
    await expect(fresh.keepers[0]!.receive(frame)).rejects.toEqual(FRAME_REFUSED);
    await fresh.close();
  });

  test('that lies by any factor moves a stage no farther than one that lies by four', async () => {
    const honest = [1, 2, 3, 4].map((value) => Float64Array.of(value, 0, 0));
    const lied = (factor: number) => boundedGradients([...honest, Float64Array.of(0, factor * 3, 0)])[4]!;
    expect(Math.hypot(...lied(1e30))).toBeCloseTo(12, 9);
    expect(lied(1e30)).toEqual(lied(1e6));
    expect(boundedGradients(honest)).toEqual(honest);
  });
});

test('a seat with another key than its owner signed is refused, and so are two seats of one', async () => {
  const { seats } = run;
  const [one, two] = seats.groups as readonly [Seat, Seat, Seat];
  const with_ = (changed: Partial<Seat>) => ({ ...seats, groups: [{ ...one, ...changed }, two] });
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  expect(() => checkSeats(RUN, seats)).not.toThrow();
  expect(() => checkSeats('0'.repeat(64), seats)).toThrow(code('SIGNATURE_INVALID'));
  expect(() => checkSeats(RUN, with_({ agreementKey: 'a'.repeat(64) }))).toThrow(code('SIGNATURE_INVALID'));
  expect(() => checkSeats(RUN, with_({ agreementKey: two.agreementKey }))).toThrow(code('STAGE_TAKEN'));
  const both = { ...seats, groups: [one, seats.keepers[1]!] };
  expect(() => checkSeats(RUN, both)).toThrow(code('STAGE_TAKEN'));
  expect(() => checkSeats(RUN, { ...seats, keepers: seats.keepers.slice(1) })).toThrow(code('STAGE_TAKEN'));
  const twice = [seats.keepers[0]!, seats.keepers[1]!, seats.keepers[0]!];
  expect(() => checkSeats(RUN, { ...seats, keepers: twice })).toThrow(code('STAGE_TAKEN'));
  const standing = (stage: number) => ({ ...seats, standbys: [{ stage, seat: seats.keepers[0]! }] });
  for (const stage of [0, 1, 3]) expect(() => checkSeats(RUN, standing(stage))).toThrow(code('STAGE_TAKEN'));
});

test('a thief of all that a keeper has after two epochs opens no frame of the first', async () => {
  const { run: own, carried: all } = await recorded();
  const frames = [...all];
  await own.morph();
  await own.morph();
  for (const [index, { links }] of own.memory().entries()) {
    expect(links.epoch).toBe(2);
    for (const { to, frame } of frames) {
      const read = readFrame(frame);
      const known = links.secrets.find(([other]) => other === read.header.from);
      if (to !== own.seats.keepers[index]!.id || known === undefined) continue;
      expect(() => openFrame(read, Link.from(2, known[1]))).toThrow(FRAME_REFUSED);
    }
  }
  await own.close();
});
