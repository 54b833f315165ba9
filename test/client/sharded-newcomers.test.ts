import { afterEach, describe, expect, test } from 'vitest';
import { begun, type Cast, cast, closeCasts, epochs, rounds, stored } from '../support/sharded-cast.ts';
import type { ServingKeeper } from '../support/sharded-world.ts';

// Keepers and groups that come after a sharded run began, with relay, course and keepers as they are deployed.

afterEach(closeCasts);

/** Groups train in a round that asks these; their losses. */
async function train(all: Cast, round: number, groups: readonly number[]): Promise<number[]> {
  const { world, trainers, received } = all;
  world.wanted = world.round(round, groups);
  const trained = groups.map((group) => trainers[group]!.train({ round, attempt: 1 }, received));
  return (await Promise.all(trained)).map(({ loss }) => loss);
}

/** A keeper that has just come, at work. */
function come(all: Cast, stage: number): { readonly index: number; readonly keeper: ServingKeeper } {
  const index = all.world.admitKeeper(stage);
  const keeper = all.world.serve(index);
  all.keepers.push(keeper);
  return { index, keeper };
}

/** Waits until a keeper has its stage on its disk. */
async function told(all: Cast, index: number): Promise<void> {
  const has = () => all.world.homeOf(index).load()?.memory.holds;
  await expect.poll(has, { timeout: 20_000, interval: 10 }).toBe(true);
}

describe('a group that comes after the run began', () => {
  test('trains with the others from then on, through the next morph, and predicts', async () => {
    // Nobody is lost, however busy the machine is.
    const all = cast([], { seated: 2, patienceMs: 60_000 });
    await train(all, 1, [0, 1]);
    all.world.admitGroup(2);
    expect(await train(all, 2, [0, 1, 2])).toHaveLength(3);
    expect(await train(all, 3, [0, 1, 2])).toHaveLength(3);
    expect(rounds(all)).toEqual([3, 3, 3]);
    expect(epochs(all)).toEqual([1, 1, 1]);
    const request = { group: 0, context: [0, 1], targets: [2] };
    const shares = await all.trainers[2]!.predicting(all.received, (predict) => predict(request));
    expect(shares?.[0]?.every((share) => share > 0 && share < 1)).toBe(true);
    expect(all.world.troubles).toEqual([]);
    expect(all.world.links(2).links?.introductions.asked).toEqual([]);
  });

  test('predicts without having trained, epochs after the beginning, and again from its links alone', async () => {
    const all = cast([], { seated: 2 });
    for (const round of [1, 2, 3]) await train(all, round, [0, 1]);
    all.world.wanted = null;
    all.world.admitGroup(2);
    const request = { group: 0, context: [0, 1], targets: [2] };
    const shares = () => all.trainers[2]!.predicting(all.received, (predict) => predict(request));
    const first = await shares();
    expect(first).not.toBeNull();
    await all.trainers[2]!.close();
    all.trainers[2] = all.world.trainer(2);
    expect(await shares()).toEqual(first);
  });

  test('is known to keepers that were started again, and to an aggregator that was', async () => {
    const all = cast([], { seated: 2 });
    all.world.admitGroup(2);
    await train(all, 1, [0, 1, 2]);
    await all.keepers[0]!.stop();
    all.keepers[0] = all.world.serve(0);
    await all.world.restart();
    expect(await train(all, 2, [0, 1, 2])).toHaveLength(3);
    expect(await train(all, 3, [0, 1, 2])).toHaveLength(3);
    expect(stored(all, 0).memory.introductions.newcomers).toHaveLength(1);
  });
});

describe('a keeper that comes after the run began', () => {
  test.each([0, 1, 2])(
    'is told of stage %i, and keeps it when the one who did is gone for good',
    async (stage) => {
      const all = cast();
      for (const round of [1, 2, 3]) await all.train(round);
      const { index, keeper } = come(all, stage);
      await told(all, index);
      expect(stored(all, index).memory.stage).toEqual(stored(all, stage).memory.stage);
      const training = all.train(4);
      await begun(all.keepers[stage]!, 4);
      await all.keepers[stage]!.stop();
      expect(await training).toHaveLength(3);
      expect(await all.train(5)).toHaveLength(3);
      const others = [0, 1, 2].filter((one) => one !== stage);
      expect(epochs(all, [...others, index])).toEqual([2, 2, 2]);
      expect(rounds(all, [...others, index])).toEqual([5, 5, 5]);
      const asked = keeper.events.filter((event) => event.type === 'order' && event.kind === 'begin');
      expect(asked.length).toBeGreaterThan(0);
    },
  );

  test('and groups that come after it work with each other', async () => {
    const all = cast([], { seated: 2 });
    await train(all, 1, [0, 1]);
    const { index } = come(all, 0);
    await told(all, index);
    await all.keepers[0]!.stop();
    all.world.admitGroup(2);
    expect(await train(all, 2, [0, 1, 2])).toHaveLength(3);
    expect(await train(all, 3, [0, 1, 2])).toHaveLength(3);
    expect(rounds(all, [index, 1, 2])).toEqual([3, 3, 3]);
  });

  test('goes on from its folder where it was started again, before and after it was told of its stage', async () => {
    const all = cast();
    await all.train(1);
    const index = all.world.admitKeeper(1);
    const first = all.world.serve(index);
    await expect.poll(() => all.world.homeOf(index).load(), { timeout: 20_000, interval: 1 }).not.toBeNull();
    await first.stop();
    let late = all.world.serve(index);
    await told(all, index);
    await late.stop();
    await all.train(2);
    late = all.world.serve(index);
    all.keepers.push(late);
    await all.train(3);
    await expect.poll(() => epochs(all, [index]), { timeout: 20_000 }).toEqual([1]);
    await all.keepers[1]!.stop();
    expect(await all.train(4)).toHaveLength(3);
    expect(rounds(all, [0, index, 2])).toEqual([4, 4, 4]);
  });
});
