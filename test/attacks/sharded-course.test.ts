import { afterEach, describe, expect, test } from 'vitest';
import { cast, closeCasts, epochs, rounds, stored } from '../support/sharded-cast.ts';

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
