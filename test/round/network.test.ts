import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AggregatorEffect } from '../../src/round/aggregator.ts';
import { type NetworkOptions, type NetworkTrace, playNetwork } from '../support/round-network.ts';
import { fewestOf, STEPS } from '../support/round-steps.ts';

const GROUPS = ['a', 'b', 'c', 'constructor', '__proto__'];
const CALM: NetworkOptions = {
  seed: 0,
  groups: GROUPS,
  rounds: 4,
  quorum: GROUPS.length,
  steps: STEPS[1],
  loss: 0,
  duplication: 0,
  crash: 0,
  restart: 0,
  retries: 0,
};

const chance = (max: number) => fc.double({ min: 0, max, noNaN: true });
const networks = fc.record<NetworkOptions>({
  seed: fc.nat(),
  groups: fc.constant(GROUPS),
  rounds: fc.integer({ min: 1, max: 4 }),
  quorum: fc.integer({ min: 1, max: GROUPS.length }),
  steps: fc.constantFrom(...Object.values(STEPS)),
  loss: chance(0.9),
  duplication: chance(0.8),
  crash: chance(0.2),
  restart: chance(0.3),
  retries: fc.integer({ min: 0, max: 3 }),
});
const drawn = fc.record({ seed: fc.nat(), share: fc.constantFrom(0.2, 0.5, 0.8), begin: fc.constant(1) });

const foldsOf = ({ effects }: NetworkTrace) =>
  effects.filter((effect): effect is Extract<AggregatorEffect, { type: 'fold' }> => effect.type === 'fold');

describe('aggregator and groups over a network that loses, doubles and reorders', () => {
  test.each(Object.entries(STEPS))('on a calm network every one of %s steps has every group', (_, steps) => {
    const trace = playNetwork({ ...CALM, steps });
    expect(trace.aggregator.phase).toBe('finished');
    expect(foldsOf(trace).map(({ round }) => round)).toEqual([1, 2, 3, 4]);
    for (const { replies } of foldsOf(trace)) {
      expect(replies.map((step) => step.map(({ group }) => group))).toEqual(
        steps.map(() => [...GROUPS].sort()),
      );
    }
    expect(new Set(trace.worked).size).toBe(trace.worked.length);
    expect(trace.worked).toHaveLength(4 * GROUPS.length * steps.length);
  });

  test.each(Object.entries(STEPS))('doubled and reordered messages change nothing (%s steps)', (_, steps) => {
    const folds = (options: Partial<NetworkOptions>) => foldsOf(playNetwork({ ...CALM, steps, ...options }));
    const calm = folds({});
    for (let seed = 1; seed <= 20; seed++) expect(folds({ seed, duplication: 0.8 })).toEqual(calm);
  });

  test.each(Object.entries(STEPS))('nor do restarts from stored states (%s steps)', (_, steps) => {
    const options = { ...CALM, steps };
    const calm = foldsOf(playNetwork(options));
    const restarted = Array.from({ length: 20 }, (_, seed) =>
      playNetwork({ ...options, seed, restart: 0.3 }),
    );
    for (const trace of restarted) expect(foldsOf(trace)).toEqual(calm);
    // A group that is stopped while it works does it again.
    for (const { worked } of restarted) expect(new Set(worked).size).toBeLessThan(worked.length);
  });

  test.each(Object.entries(STEPS))(
    'groups that a round does not ask wait for one that does (%s steps)',
    (_, steps) => {
      const participation = { seed: 3, share: 0.5, begin: GROUPS.length };
      const trace = playNetwork({ ...CALM, steps, rounds: 12, quorum: 3, participation });
      expect(trace.aggregator.phase).toBe('finished');
      expect(trace.aggregator.enrolled).toEqual([...GROUPS].sort());
      const rounds = foldsOf(trace).map(({ replies }) => replies[0]!.map(({ group }) => group).join(' '));
      expect(rounds).toHaveLength(12);
      expect(rounds.every((groups) => groups.split(' ').length === 3)).toBe(true);
      expect(new Set(rounds).size).toBeGreaterThan(4);
      expect([...new Set(rounds.join(' ').split(' '))].sort()).toEqual([...GROUPS].sort());
      // Nobody works on a round that does not ask it.
      expect(trace.worked).toHaveLength(12 * 3 * steps.length);
    },
  );

  test('it ends, finished or failed, and never folds what was not worked on and sent (property)', () => {
    fc.assert(
      fc.property(networks, fc.option(drawn), (network, participation) => {
        const options = participation === null ? network : { ...network, participation };
        const trace = playNetwork(options);
        const { aggregator, worked, sent, pending, skipped } = trace;
        expect(['finished', 'failed']).toContain(aggregator.phase);
        expect(pending).toBe(0);
        const folds = foldsOf(trace);
        const attempts = new Map(
          trace.effects.flatMap((effect) => (effect.type === 'ask' ? [[effect.round, effect.attempt]] : [])),
        );
        expect(folds.map(({ round }) => round)).toEqual(folds.map((_, index) => index + 1));
        expect(folds.length).toBeLessThanOrEqual(options.rounds);
        if (aggregator.phase === 'finished') expect(folds).toHaveLength(options.rounds);
        for (const { round, replies } of folds) {
          if (!skipped.has(round)) expect(replies).toHaveLength(options.steps.length);
          for (const [step, list] of replies.entries()) {
            const fewest = fewestOf(options.steps[step]!, options.quorum, replies[0]!.length);
            if (!skipped.has(round)) expect(list.length).toBeGreaterThanOrEqual(fewest);
            for (const { group, digest } of list) {
              // What was on its way when the round was given up may come in after it was opened again.
              const attempt = Number(digest.split('/').at(-2));
              expect(digest).toBe(`${group}/${round}/${attempt}/${step}`);
              expect(attempt).toBeGreaterThanOrEqual(1);
              expect(attempt).toBeLessThanOrEqual(attempts.get(round)!);
              expect(sent).toContain(digest);
              expect(worked).toContain(digest);
            }
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

  test('a step that is patient gets a round through that comes too late; who is gone is taken out, and the round skipped', () => {
    // As if nothing were sent once but in the last step: what fails before it is opened again.
    const last = STEPS[5].map((step, index) => ({ ...step, once: index === STEPS[5].length - 1 }));
    const options = { ...CALM, steps: last, quorum: 2, retries: 9 };
    const traces = (change: Partial<NetworkOptions>) =>
      Array.from({ length: 40 }, (_, seed) => playNetwork({ ...options, seed, ...change }));
    const skippedOf = (change: Partial<NetworkOptions>) =>
      traces(change).filter(({ skipped }) => skipped.size > 0).length;
    const impatient = last.map((step) => ({ ...step, patient: false }));
    expect(skippedOf({ loss: 0.55, steps: impatient })).toBeGreaterThan(0);
    expect(skippedOf({ loss: 0.55 })).toBe(0);
    const crashed = traces({ crash: 0.03 });
    const skipping = crashed.filter(({ skipped }) => skipped.size > 0);
    expect(skipping.length).toBeGreaterThan(3);
    // Later rounds go on with those who are left.
    const later = skipping.filter(({ aggregator: { phase, round }, skipped }) => {
      return phase === 'finished' && Math.min(...skipped) < round;
    });
    expect(later.length).toBeGreaterThan(0);
  });

  test('opening failed rounds again gets runs through that would have ended', () => {
    const finished = (retries: number) =>
      Array.from({ length: 20 }, (_, seed) =>
        playNetwork({ ...CALM, seed, rounds: 2, loss: 0.6, retries }),
      ).filter(({ aggregator }) => aggregator.phase === 'finished').length;
    expect(finished(20)).toBeGreaterThan(finished(0));
  });

  test('the same seed plays the same run', () => {
    const options = { ...CALM, seed: 5, quorum: 2, loss: 0.5, duplication: 0.5, crash: 0.1, restart: 0.2 };
    expect(JSON.stringify(playNetwork(options))).toBe(JSON.stringify(playNetwork(options)));
  });
});
