import { afterEach, describe, expect, test } from 'vitest';
import { openFrame, readFrame } from '../../src/sharding/frames/sealed-frame.ts';
import type { LocalShardedRun, LocalShardedSetup } from '../../src/sharding/local/run.ts';
import { cutParameters, openTinyRun } from '../support/sharded-run.ts';
import { startOf, tinyStaged, tinyTasks } from '../support/sharding.ts';

// Who stands by for a stage goes on from exactly what its keeper last told it.

const options = tinyStaged();
const { outer, stages } = cutParameters(options, startOf(options));
const RATES = [0.003, 0.003, 0.003];
const tasks = tinyTasks(3 * RATES.length);
const batchOf = (group: string, step: number) => tasks[3 * step + 'abc'.indexOf(group)]!;
const train = (run: LocalShardedRun, round: number, attempt = 0) =>
  run.train({ round, attempt, groups: ['a', 'b'], learningRates: RATES, outer, batchOf });
const mastersOf = (run: LocalShardedRun) => run.memory().map(({ stage }) => stage);

const opened: LocalShardedRun[] = [];
async function open(changes: Partial<LocalShardedSetup> = {}): Promise<LocalShardedRun> {
  const run = await openTinyRun(options, stages, { standbys: [1, 0, 2], ...changes });
  opened.push(run);
  return run;
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((run) => run.close()));
});

describe.each([0, 1, 2])('a standby of seat %i', (standby) => {
  test('that takes over between rounds, morphs before and after, changes no bit of any stage', async () => {
    const [run, other] = [await open(), await open()];
    for (const one of [run, other]) {
      await one.share();
      await train(one, 1);
      expect(await one.morph()).toBe(true);
      await train(one, 2);
      await one.share();
    }
    await run.replaceBy(standby);
    expect(mastersOf(run)).toEqual(mastersOf(other));
    for (const one of [run, other]) await train(one, 3);
    expect(mastersOf(run)).toEqual(mastersOf(other));
    // The boundaries turn by what the standby shares with its neighbours: not the same numbers, and the same model.
    expect(await run.morph()).toBe(true);
    await train(run, 4);
    expect(run.epoch).toBe(2);
  });

  test('that takes over in the middle of a round begins it again where it began', async () => {
    let lost = false;
    const [run, other] = [await open({ seen: () => lost && fail() }), await open()];
    for (const one of [run, other]) {
      await train(one, 1);
      await one.share();
    }
    lost = true;
    await expect(train(run, 2)).rejects.toThrow('lost');
    lost = false;
    await run.replaceBy(standby);
    for (const one of [run, other]) await train(one, 2, 1);
    expect(mastersOf(run)).toEqual(mastersOf(other));
  });
});

function fail(): never {
  throw new Error('lost');
}

test('who stands by has no stage to keep before it was told of one, and answers no frames', async () => {
  const run = await open();
  await expect(run.replaceBy(0)).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
  await expect(run.standbys[0]!.turn()).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
  expect(run.standbys[0]!.holds).toBe(false);
  await run.share();
  expect(run.standbys.map(({ holds }) => holds)).toEqual([true, true, true]);
});

test('who keeps a stage takes none from another, and who was replaced takes it again', async () => {
  const told: { to: string; frame: Uint8Array }[] = [];
  const run = await open({ seen: (to, frame) => told.push({ to, frame }) });
  const [, middle] = run.keepers;
  await run.share();
  await run.replaceBy(0);
  await train(run, 1);
  const [frame] = await run.standbys[0]!.share();
  const { header } = readFrame(frame!);
  expect(header).toMatchObject({ kind: 'memory', to: run.seats.keepers[1]!.id, boundary: 1, round: 1 });
  // It was replaced, but nobody told it.
  await expect(middle!.receive(frame!)).rejects.toMatchObject({ code: 'FRAME_REFUSED' });
  const keeping = run.seats.keepers.map(({ id }, stage) =>
    stage === 1 ? run.seats.standbys[0]!.seat.id : id,
  );
  await middle!.appoint(keeping);
  await middle!.receive(frame!);
  expect(middle!.place.round).toBe(1);
  expect(middle!.memory().stage).toEqual(run.standbys[0]!.memory().stage);
});

test('a morph that is taken back is taken back at who stands by, and one that it missed is made up for', async () => {
  const run = await open();
  await run.share();
  const [standby] = run.standbys;
  const before = standby!.memory();
  const [first, middle, last] = run.keepers;
  for (const one of [first!, middle!, last!]) await one.turn();
  const [unsettled] = await middle!.share();
  await standby!.receive(unsettled!);
  expect([standby!.unsettled, standby!.epoch]).toEqual([true, 1]);
  for (const one of [first!, middle!, last!]) await one.settle(false);
  // Nobody told it how that ended: what it is told next does.
  const [settled] = await middle!.share();
  await standby!.receive(settled!);
  expect(standby!.memory()).toEqual(before);

  for (const one of [first!, middle!, last!]) {
    await one.turn();
    await one.settle(true);
  }
  const [later] = await middle!.share();
  await standby!.receive(later!);
  expect([standby!.epoch, standby!.unsettled]).toEqual([1, false]);
  expect(standby!.memory().stage).toEqual(middle!.memory().stage);
  // What it had before is sealed under keys that it has no more.
  await expect(standby!.receive(settled!)).rejects.toMatchObject({ code: 'FRAME_REFUSED' });
});

test('a stage comes from who may keep it, and nobody else can read it', async () => {
  const run = await open();
  const [frame] = await run.keepers[1]!.share();
  for (const one of [run.keepers[0]!, run.keepers[2]!, run.standbys[1]!]) {
    await expect(one.receive(frame!)).rejects.toMatchObject({ code: 'FRAME_REFUSED' });
  }
  const link = { sealKey: () => new Uint8Array(32) };
  expect(() => openFrame(readFrame(frame!), link as never)).toThrow('it does not open');
});
