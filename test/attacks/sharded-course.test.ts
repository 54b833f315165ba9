import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { cast, closeCasts, epochs, ready, rounds, stored } from '../support/sharded-cast.ts';

// What one of many can do to the course of a sharded run by what it leaves out: keepers, relay and groups as they are deployed.

afterEach(closeCasts);

describe('a keeper that passes no probe of a morph on', () => {
  test.each([0, 1])('has the morph given up in phase %i, and the rounds go on without', async (phase) => {
    const all = cast([], { patienceMs: 400 });
    const { world } = all;
    for (const round of [1, 2]) await all.train(round);
    const liar = world.seats.keepers[1]!.id;
    let swallowed = 0;
    world.isSent = ({ kind, from, step }) => {
      const isOne = kind === 'probe' && from === liar && step === phase;
      if (isOne) swallowed++;
      return !isOne;
    };
    for (const round of [3, 4]) await all.train(round);
    // It is tried again, and not for ever.
    expect(swallowed).toBeGreaterThan(1);
    expect(world.troubles.join()).toContain('the probe of a morph does not come out');
    expect(epochs(all)).toEqual([0, 0, 0]);
    expect([0, 1, 2].map((index) => stored(all, index).turned)).toEqual([false, false, false]);
    expect(world.seats.keepers.map(({ id }) => world.relay.statusOf(id)?.unsettled)).toEqual([
      false,
      false,
      false,
    ]);
    // Once it passes them on, the next epoch begins as any.
    world.isSent = () => true;
    await all.train(5);
    expect(epochs(all)).toEqual([1, 1, 1]);
    expect(new Set(rounds(all)).size).toBe(1);
  });
});

describe('a group that is there and holds a training up', () => {
  const PATIENCE_MS = 400;

  type Hold = (step: number) => boolean | Promise<boolean>;
  const silent: Hold = (step) => step === 0;
  const slow: Hold = () => wait(2 * PATIENCE_MS, true);

  test.each([
    ['falls silent in the middle of it', silent],
    ['sends each frame just before it is given up', slow],
  ] as const)(
    'and %s is left out: the others end the round, and it comes back in the next',
    async (_, hold) => {
      const all = cast([], { patienceMs: PATIENCE_MS });
      const { world } = all;
      await all.train(1);
      const one = world.seats.groups[2]!.id;
      world.isSent = ({ from, step }) => (from === one ? hold(step) : true);
      const left = all.trainers[2]!.train({ round: 2, attempt: 1 }, all.received).catch((thrown) => thrown);
      await ready(all, 2, [2]);
      const losses = await all.train(2, [0, 1]);
      expect(losses.every(Number.isFinite)).toBe(true);
      expect(await left).toMatchObject({ code: 'ROUND_REFUSED' });
      expect(world.troubles.join()).toContain(`the training waits for ${one}, and goes on without`);
      const { training } = world.relay.course!;
      expect(training).toMatchObject({ round: 2, complete: true });
      expect(training!.groups).toEqual(world.seats.groups.slice(0, 2).map(({ id }) => id));
      world.isSent = () => true;
      expect(await all.train(3)).toHaveLength(3);
      expect(epochs(all)).toEqual([1, 1, 1]);
    },
  );
});
