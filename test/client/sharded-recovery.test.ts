import { cpSync, rmSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { begun, type Cast, cast, closeCasts, epochs, rounds, stored } from '../support/sharded-cast.ts';

// A sharded run whose keeper is lost for good, with nobody who was told of its stage: it goes on from what the keeper left with the aggregator.

afterEach(closeCasts);

const SECONDS = { timeout: 30_000, interval: 10 };
const settings = (more: string) => ({ overrides: [`sharding={ epochRounds: 2, recovery: 2, ${more} }`] });
/** Somebody has a seat for each stage, beside its keeper, and is not started yet: number 3 + stage. */
const withStandbys = () => cast([0, 1, 2], settings('standbys: 3'), 3);
/** Nobody has, but may come. */
const alone = () => cast([], settings('lateKeepers: 2'));

/** Waits until a keeper's stage as it is stored is with the aggregator, and the keepers of others have their shares. */
async function isLeft(all: Cast, index: number): Promise<void> {
  const { place, links } = stored(all, index).memory;
  const newest = () =>
    all.world.deposits.findLast(
      ({ header: { stage, epoch, round } }) =>
        stage === index && epoch === links.epoch && round === place.round,
    )?.header.id;
  await expect.poll(newest, SECONDS).toBeDefined();
  for (const other of [0, 1, 2].filter((one) => one !== index)) {
    const ids = () =>
      all.world
        .homeOf(other)
        .loadShares()
        .map(({ id }) => id);
    await expect.poll(ids, SECONDS).toContain(newest());
  }
}

/** A keeper is gone, and its folder with it; what it had. */
async function lose(all: Cast, index: number) {
  await all.keepers[index]!.stop();
  const { memory } = stored(all, index);
  rmSync(all.world.homeOf(index).folder, { recursive: true });
  return memory;
}

/** Somebody starts who was away, or has just come. */
function start(all: Cast, index: number) {
  const keeper = all.world.serve(index);
  all.keepers.push(keeper);
  return keeper;
}

/** What came of the orders to recover a stage. */
const recoveries = ({ events }: Cast['keepers'][number]) =>
  events.flatMap((event) => (event.type === 'order' && event.kind === 'recover' ? [event] : []));

describe.each([0, 1, 2])('where the keeper of stage %i is lost for good', (stage) => {
  const others = [0, 1, 2].filter((one) => one !== stage);

  test('who has a seat for it and was never told of it goes on to the bit, also where the aggregator was started again', async () => {
    const all = withStandbys();
    for (const round of [1, 2, 3]) await all.train(round);
    await isLeft(all, stage);
    const last = await lose(all, stage);
    // What the keeper told who stands by is gone with the relay, which had it for who was not there.
    await all.world.restart();
    const taking = start(all, 3 + stage);
    await expect
      .poll(() => recoveries(taking), SECONDS)
      .toMatchObject([{ failure: null, epoch: 1, round: 3 }]);
    expect(stored(all, 3 + stage).memory.stage).toEqual(last.stage);
    expect(await all.train(4)).toHaveLength(3);
    expect(await all.train(5)).toHaveLength(3);
    expect(epochs(all, [...others, 3 + stage])).toEqual([2, 2, 2]);
    expect(rounds(all, [...others, 3 + stage])).toEqual([5, 5, 5]);
    expect(all.world.memory?.keeping[stage]).toBe(all.world.seats.standbys[stage]!.seat.id);
  });

  test('in the middle of a round, who comes after that goes on to the bit, and the round is trained', async () => {
    const all = alone();
    await all.train(1);
    await isLeft(all, stage);
    const before = stored(all, stage).memory.stage;
    const training = all.train(2);
    await begun(all.keepers[stage]!, 2);
    await lose(all, stage);
    const index = all.world.admitKeeper(stage);
    // Nothing is trained before this has looked.
    let look: () => void = () => undefined;
    const looked = new Promise<void>((resolve) => {
      look = resolve;
    });
    all.world.isSent = ({ kind }) => kind !== 'forward' || looked.then(() => true);
    const taking = start(all, index);
    const recovered = expect.poll(() => recoveries(taking).at(-1), SECONDS);
    await recovered.toMatchObject({ failure: null, epoch: 0, round: 1 });
    expect(stored(all, index).memory.stage).toEqual(before);
    look();
    expect(await training).toHaveLength(3);
    expect(await all.train(3)).toHaveLength(3);
    expect(epochs(all, [...others, index])).toEqual([1, 1, 1]);
  });
});

test('who comes after the keeper is lost and the aggregator was started again knows the others before it takes the stage', async () => {
  const all = alone();
  for (const round of [1, 2, 3]) await all.train(round);
  await isLeft(all, 2);
  const last = await lose(all, 2);
  await all.world.restart();
  const index = all.world.admitKeeper(2);
  const taking = start(all, index);
  await expect.poll(() => recoveries(taking).at(-1), SECONDS).toMatchObject({ failure: null });
  expect(stored(all, index).memory.stage).toEqual(last.stage);
  expect(await all.train(4)).toHaveLength(3);
});

test.each([
  ['has no shares', []],
  ['was changed', ['the deposit of a stage was refused']],
] as const)('where the last deposit %s, the one before it is opened', async (_, failures) => {
  const all = withStandbys();
  let before: object | null = null;
  const isChanged = failures.length > 0;
  // The keeper is lost before anybody has a share of what it left after round 3.
  all.world.isSent = ({ kind, boundary, round, epoch }) => {
    if (kind !== 'share' || boundary !== 1) return true;
    if (epoch === 1 && round === 2) before ??= stored(all, 1).memory.stage;
    return round !== 3 || isChanged;
  };
  for (const round of [1, 2, 3]) await all.train(round);
  const left = () =>
    all.world.deposits.filter(({ header }) => header.stage === 1).map(({ header }) => header.round);
  await expect.poll(left, SECONDS).toEqual([2, 3]);
  if (isChanged) await isLeft(all, 1);
  const changed = ({ header, bytes }: (typeof all.world.deposits)[number]) =>
    isChanged && header.round === 3 ? bytes.with(-1, bytes.at(-1)! ^ 1) : bytes;
  all.world.deposits = all.world.deposits.map((one) => ({ ...one, bytes: changed(one) }));
  await lose(all, 1);
  await all.world.restart();
  const taking = start(all, 4);
  const failed = failures.map((failure) => ({ failure: expect.stringContaining(failure) }));
  const last = { failure: null, epoch: 1, round: 2 };
  await expect.poll(() => recoveries(taking), SECONDS).toMatchObject([...failed, last]);
  expect(stored(all, 4).memory.stage).toEqual(before);
  expect(await all.train(4)).toHaveLength(3);
});

test('a run that is over predicts on, also where its keeper is lost and the aggregator was started again', async () => {
  const all = withStandbys();
  await all.train(1);
  await isLeft(all, 1);
  all.world.wanted = null;
  const request = { group: 0, context: [0, 1], targets: [2] };
  const shares = () => all.trainers[0]!.predicting(all.received, (predict) => predict(request));
  const before = await shares();
  await lose(all, 1);
  await all.world.restart();
  const taking = start(all, 4);
  await expect.poll(() => recoveries(taking), SECONDS).toMatchObject([{ failure: null }]);
  await expect.poll(() => all.world.memory?.keeping[1], SECONDS).toBe(all.world.seats.standbys[1]!.seat.id);
  expect(await shares()).toEqual(before);
});

test('where one stage after the other is lost, with nothing trained in between, who recovered the first has shares of the second', async () => {
  const all = withStandbys();
  await all.train(1);
  await isLeft(all, 1);
  all.world.wanted = null;
  const last = await lose(all, 1);
  await all.world.restart();
  start(all, 4);
  const newest = () => all.world.deposits.findLast(({ header }) => header.stage === 0)?.header.id;
  const has = (index: number) =>
    all.world
      .homeOf(index)
      .loadShares()
      .some(({ id }) => id === newest());
  await expect.poll(() => has(4) && has(2), SECONDS).toBe(true);
  expect(stored(all, 4).memory.stage).toEqual(last.stage);
  const before = await lose(all, 0);
  await all.world.restart();
  const taking = start(all, 3);
  await expect.poll(() => recoveries(taking).at(-1), SECONDS).toMatchObject({ failure: null });
  expect(stored(all, 3).memory.stage).toEqual(before.stage);
  expect(await all.train(2)).toHaveLength(3);
});

test('where too few are there to open a stage it says so, and goes on once they are', async () => {
  const all = withStandbys();
  await all.train(1);
  await isLeft(all, 1);
  await lose(all, 1);
  await all.keepers[2]!.stop();
  await all.world.restart();
  start(all, 4);
  const told = () => all.world.troubles.join('\n');
  await expect
    .poll(told, SECONDS)
    .toContain('keep stage 1; holders of 1 other stage(s) are there and have a share, 2 are needed');
  all.keepers[2] = all.world.serve(2);
  expect(await all.train(2)).toHaveLength(3);
  expect(rounds(all, [0, 4, 2])).toEqual([2, 2, 2]);
});

test('where nobody may keep the stage any more it says so', async () => {
  const all = withStandbys();
  await all.train(1);
  await isLeft(all, 0);
  await lose(all, 0);
  const training = all.train(2);
  const told = () => all.world.troubles.join('\n');
  await expect
    .poll(told, SECONDS)
    .toContain('keep stage 0; nobody who has a seat for it is there to recover it');
  start(all, 3);
  expect(await training).toHaveLength(3);
});

test('a keeper that comes back with a folder of an epoch that is over recovers its own stage', async () => {
  const all = alone();
  await all.train(1);
  const { folder } = all.world.homeOf(1);
  await all.keepers[1]!.stop();
  cpSync(folder, `${folder}-before`, { recursive: true });
  all.keepers[1] = all.world.serve(1);
  for (const round of [2, 3]) await all.train(round);
  await isLeft(all, 1);
  const last = await lose(all, 1);
  cpSync(`${folder}-before`, folder, { recursive: true });
  const back = start(all, 1);
  expect(await all.train(4)).toHaveLength(3);
  expect(recoveries(back)).toMatchObject([{ failure: null, epoch: 1, round: last.place.round }]);
  expect(epochs(all)).toEqual([1, 1, 1]);
});

test('a keeper that was started again has its shares, and of an epoch that is over none', async () => {
  const all = alone();
  await all.train(1);
  for (const index of [0, 1, 2]) await isLeft(all, index);
  const shares = all.world.homeOf(1).loadShares();
  expect(new Set(shares.map(({ stage }) => stage))).toEqual(new Set([0, 2]));
  await all.keepers[1]!.stop();
  all.keepers[1] = all.world.serve(1);
  await all.train(2);
  await all.train(3);
  for (const index of [0, 1, 2]) await isLeft(all, index);
  for (const { epoch } of all.world.homeOf(1).loadShares()) expect(epoch).toBe(1);
  // Killed between storing the stage of the new epoch and forgetting the shares of the one before.
  await all.keepers[1]!.stop();
  all.world.homeOf(1).saveShares(shares);
  all.keepers[1] = all.world.serve(1);
  await expect.poll(() => all.world.homeOf(1).loadShares(), SECONDS).toEqual([]);
});
