import { afterEach, describe, expect, test } from 'vitest';
import { readFrame } from '../../src/sharding/frames/sealed-frame.ts';
import type { Keeper } from '../../src/sharding/keeper/keeper.ts';
import type { LocalShardedRun, LocalShardedSetup } from '../../src/sharding/local/run.ts';
import { cutParameters, openTinyRun } from '../support/sharded-run.ts';
import { startOf, tinyStaged, tinyTasks } from '../support/sharding.ts';

// A stage of which nobody who is left was told goes on from what its keeper left with the aggregator, by the shares of keepers of other stages.

const options = tinyStaged();
const { outer, stages } = cutParameters(options, startOf(options));
const RATES = [0.003];
const tasks = tinyTasks(3 * RATES.length);
const batchOf = (group: string, step: number) => tasks[3 * step + 'abc'.indexOf(group)]!;
const train = (run: LocalShardedRun, round: number) =>
  run.train({ round, attempt: 0, groups: ['a', 'b'], learningRates: RATES, outer, batchOf });

const opened: LocalShardedRun[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((run) => run.close()));
});
/** One stands by for each stage, and was never told of it. */
async function open(changes: Partial<LocalShardedSetup> = {}): Promise<LocalShardedRun> {
  const run = await openTinyRun(options, stages, { standbys: [0, 1, 2], recovery: 2, ...changes });
  opened.push(run);
  return run;
}

const everybody = (run: LocalShardedRun) => [...run.keepers, ...run.standbys];
const idsOf = ({ seats }: LocalShardedRun) => [
  ...seats.keepers.map(({ id }) => id),
  ...seats.standbys.map(({ seat }) => seat.id),
];

/** Hands frames to those whom they are for, as far as these are there; how many were refused. */
async function carry(run: LocalShardedRun, frames: readonly Uint8Array[], away: readonly Keeper[] = []) {
  let refused = 0;
  for (const frame of frames) {
    const to = everybody(run)[idsOf(run).indexOf(readFrame(frame).header.to)]!;
    if (!away.includes(to)) await to.receive(frame).catch(() => refused++);
  }
  return refused;
}

/** A keeper leaves its stage, and the others have their shares. */
async function left(run: LocalShardedRun, keeper: Keeper, away: readonly Keeper[] = []) {
  const deposit = (await keeper.deposit())!;
  await carry(run, deposit.shares, away);
  return deposit;
}

/** Some tell who stands by for a stage their share. */
async function reveal(run: LocalShardedRun, stage: number, id: string, by: readonly Keeper[]): Promise<void> {
  const to = run.seats.standbys[stage]!.seat.id;
  for (const one of by) await carry(run, await one.reveal({ stage, id, to }));
}

describe.each([0, 1, 2])('stage %i', (stage) => {
  test('goes on to the bit with who was never told of it, epochs later', async () => {
    const run = await open();
    await train(run, 1);
    await run.morph();
    await train(run, 2);
    const lost = run.keepers[stage]!;
    const taking = run.standbys[stage]!;
    const deposit = await left(run, lost, [taking]);
    const { epoch, place, memory } = { epoch: lost.epoch, place: lost.place, memory: lost.memory() };
    expect([taking.holds, taking.epoch]).toEqual([false, 0]);

    const others = run.keepers.filter((one) => one !== lost);
    await reveal(run, stage, deposit.header.id, others);
    await taking.recover(deposit.bytes, deposit.header.id);
    expect([taking.holds, taking.epoch, taking.place.round]).toEqual([true, epoch, place.round]);
    expect(taking.memory().stage).toEqual(memory.stage);
    // It goes on with the others: trains, and morphs with links of its own.
    await run.replaceBy(stage);
    await train(run, 3);
    expect(await run.morph()).toBe(true);
    await train(run, 4);
  });

  test('does not with shares of fewer other stages, however many holders have them', async () => {
    const run = await open();
    const [lost, taking] = [run.keepers[stage]!, run.standbys[stage]!];
    const deposit = await left(run, lost);
    const other = (stage + 1) % 3;
    await reveal(run, stage, deposit.header.id, [run.keepers[other]!, run.standbys[other]!]);
    const before = taking.memory();
    await expect(taking.recover(deposit.bytes, deposit.header.id)).rejects.toThrow(
      'holders of 1 other stage(s)',
    );
    expect(taking.memory()).toEqual(before);
    // Who only stands by for the third has the same share as its keeper.
    await reveal(run, stage, deposit.header.id, [run.standbys[(stage + 2) % 3]!]);
    await taking.recover(deposit.bytes, deposit.header.id);
    expect(taking.memory().stage).toEqual(lost.memory().stage);
  });
});

test('there are no deposits where a run does not say so, nor in the middle of a round or a morph, nor of who only stands by', async () => {
  const none = await openTinyRun(options, stages);
  opened.push(none);
  expect(await none.keepers[0]!.deposit()).toBeNull();
  const run = await open();
  const [keeper] = run.keepers;
  await expect(run.standbys[0]!.deposit()).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
  await keeper!.turn();
  await expect(keeper!.deposit()).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
  await keeper!.settle(false);
  await keeper!.begin({ round: 1, attempt: 0, groups: [run.seats.groups[0]!.id], learningRates: RATES });
  await expect(keeper!.deposit()).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
});

test('a morph that is kept has all forget the shares of the epoch before, one that is taken back does not', async () => {
  const run = await open();
  const deposits = await Promise.all(run.keepers.map((one) => one.deposit()));
  for (const one of deposits) await carry(run, one!.shares);
  expect(run.keepers.map(({ shares }) => shares.length)).toEqual([2, 2, 2]);
  const [first] = run.keepers;
  for (const one of run.keepers) await one.turn();
  for (const one of run.keepers) await one.settle(false);
  expect(first!.shares).toHaveLength(2);
  const held = first!.shares.map(({ share }) => share);
  expect(await run.morph()).toBe(true);
  expect(run.keepers.map(({ shares }) => shares)).toEqual([[], [], []]);
  for (const share of held) expect(share).toEqual(new Uint8Array(32));
  // Shares that come late are of no use to anybody any more.
  expect(await carry(run, deposits[1]!.shares)).toBeGreaterThan(0);
  expect(first!.shares).toEqual([]);
  const { id } = deposits[1]!.header;
  await expect(reveal(run, 1, id, [first!])).rejects.toMatchObject({ code: 'DEPOSIT_REFUSED' });
});

test('shares are kept of the two newest deposits, and what was told to open one is forgotten once it is open', async () => {
  const run = await open();
  const [, lost] = run.keepers;
  const ids: string[] = [];
  for (const round of [1, 2, 3]) {
    await train(run, round);
    ids.push((await left(run, lost!)).header.id);
  }
  expect(run.keepers[0]!.shares.map(({ id }) => id).sort()).toEqual(ids.slice(1).sort());
  const newest = await left(run, lost!);
  const taking = run.standbys[1]!;
  await reveal(run, 1, newest.header.id, [run.keepers[0]!, run.keepers[2]!]);
  await taking.recover(newest.bytes, newest.header.id);
  await expect(taking.recover(newest.bytes, newest.header.id)).rejects.toThrow('holders of 0 other stage(s)');
});
