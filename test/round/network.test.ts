import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type NetworkOptions, playNetwork } from '../support/round-network.ts';

const GROUPS = ['a', 'b', 'c', 'constructor', '__proto__'];
const CALM: NetworkOptions = {
  seed: 0,
  groups: GROUPS,
  rounds: 4,
  quorum: GROUPS.length,
  loss: 0,
  duplication: 0,
  crash: 0,
};

const chance = (max: number) => fc.double({ min: 0, max, noNaN: true });
const networks = fc.record<NetworkOptions>({
  seed: fc.nat(),
  groups: fc.constant(GROUPS),
  rounds: fc.integer({ min: 1, max: 4 }),
  quorum: fc.integer({ min: 1, max: GROUPS.length }),
  loss: chance(0.9),
  duplication: chance(0.8),
  crash: chance(0.2),
});

describe('aggregator and groups over a network that loses, doubles and reorders', () => {
  test('on a calm network every round folds every group', () => {
    const { aggregator, effects, trained } = playNetwork(CALM);
    expect(aggregator.phase).toBe('finished');
    const folds = effects.filter((effect) => effect.type === 'fold');
    expect(folds.map(({ round }) => round)).toEqual([1, 2, 3, 4]);
    for (const { submissions } of folds)
      expect(submissions.map(({ group }) => group)).toEqual([...GROUPS].sort());
    expect(trained).toHaveLength(4 * GROUPS.length);
  });

  test('doubled and reordered messages change nothing of that', () => {
    const folds = (options: Partial<NetworkOptions>) =>
      playNetwork({ ...CALM, ...options }).effects.filter((effect) => effect.type === 'fold');
    const calm = folds({});
    for (let seed = 1; seed <= 20; seed++) expect(folds({ seed, duplication: 0.8 })).toEqual(calm);
  });

  test('it ends, finished or failed, and never folds what was not trained and sent (property)', () => {
    fc.assert(
      fc.property(networks, (options) => {
        const { aggregator, effects, trained, sent, pending } = playNetwork(options);
        expect(['finished', 'failed']).toContain(aggregator.phase);
        expect(pending).toBe(0);
        const names = trained.map(({ group, round }) => `${group}/${round}`);
        expect(new Set(names).size).toBe(names.length);
        const folds = effects.filter((effect) => effect.type === 'fold');
        expect(folds.map(({ round }) => round)).toEqual(folds.map((_, index) => index + 1));
        expect(folds.length).toBeLessThanOrEqual(options.rounds);
        if (aggregator.phase === 'finished') expect(folds).toHaveLength(options.rounds);
        for (const { round, submissions } of folds) {
          expect(submissions.length).toBeGreaterThanOrEqual(options.quorum);
          for (const { group, digest } of submissions) {
            expect(digest).toBe(`${group}/${round}`);
            expect(sent).toContain(digest);
            expect(names).toContain(digest);
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  test('reminders get a lossy round through; without a quorum in time it fails by name', () => {
    const lossy = Array.from({ length: 20 }, (_, seed) =>
      playNetwork({ ...CALM, seed, quorum: 2, loss: 0.4 }),
    );
    expect(lossy.map(({ aggregator }) => aggregator.phase)).toEqual(lossy.map(() => 'finished'));
    const dead = playNetwork({ ...CALM, loss: 1 });
    expect(dead.aggregator).toMatchObject({
      phase: 'failed',
      failure: expect.stringContaining('missing: __proto__'),
    });
  });

  test('the same seed plays the same run', () => {
    const options = { ...CALM, seed: 5, quorum: 2, loss: 0.5, duplication: 0.5, crash: 0.1 };
    expect(JSON.stringify(playNetwork(options))).toBe(JSON.stringify(playNetwork(options)));
  });
});
