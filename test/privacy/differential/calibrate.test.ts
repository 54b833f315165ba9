import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { localSigmaFor, spendOf } from '../../../src/privacy/differential/calibrate.ts';
import { roundedNormBound } from '../../../src/privacy/differential/distributed-gaussian.ts';
import { DEFAULT_ORDERS, epsilonOf, repeatRdp } from '../../../src/privacy/differential/rdp.ts';
import { analyticGaussianEpsilon } from './analytic-gaussian.ts';

const RUN = {
  epsilon: 4,
  delta: 1e-6,
  rounds: 40,
  clipSteps: 20_000,
  dimension: 150_000,
  honestSurvivors: 8,
  beta: Math.exp(-0.5),
};

const run = fc.record({
  epsilon: fc.double({ min: 0.05, max: 50, noNaN: true }),
  delta: fc.constantFrom(1e-9, 1e-6, 1e-3),
  rounds: fc.integer({ min: 1, max: 300 }),
  clipSteps: fc.double({ min: 1, max: 2e3, noNaN: true }),
  dimension: fc.integer({ min: 1, max: 1_000_000 }),
  honestSurvivors: fc.integer({ min: 1, max: 60 }),
  beta: fc.constantFrom(0, 0.3, Math.exp(-0.5)),
});

describe('localSigmaFor', () => {
  test('keeps all rounds within the budget, and no smaller sigma does', () => {
    fc.assert(
      fc.property(run, (run) => {
        const localSigma = localSigmaFor(run);
        expect(spendOf({ ...run, localSigma }).epsilons.at(-1)).toBeLessThanOrEqual(run.epsilon);
        if (localSigma === 0.5) return;
        const less = spendOf({ ...run, localSigma: localSigma * (1 - 2e-9) });
        expect(less.epsilons.at(-1)).toBeGreaterThan(run.epsilon);
      }),
      { numRuns: 40 },
    );
  });

  test('is what the exact epsilon of the continuous Gaussian asks for, and a little more', () => {
    const localSigma = localSigmaFor(RUN);
    // 40 rounds of one Gaussian are one Gaussian at sqrt(40) times the sensitivity.
    const allNoise = localSigma * Math.sqrt(RUN.honestSurvivors);
    const exact = analyticGaussianEpsilon(
      allNoise / (roundedNormBound(RUN) * Math.sqrt(RUN.rounds)),
      RUN.delta,
    );
    expect(exact).toBeLessThan(RUN.epsilon);
    expect(exact).toBeGreaterThan(RUN.epsilon * 0.93);
  });

  test('grows with rounds, clip and dimension, falls with epsilon, delta and survivors', () => {
    const sigma = localSigmaFor(RUN);
    expect(localSigmaFor({ ...RUN, rounds: 41 })).toBeGreaterThan(sigma);
    expect(localSigmaFor({ ...RUN, clipSteps: 20_100 })).toBeGreaterThan(sigma);
    expect(localSigmaFor({ ...RUN, dimension: 160_000 })).toBeGreaterThan(sigma);
    expect(localSigmaFor({ ...RUN, epsilon: 4.1 })).toBeLessThan(sigma);
    expect(localSigmaFor({ ...RUN, delta: 2e-6 })).toBeLessThan(sigma);
    expect(localSigmaFor({ ...RUN, honestSurvivors: 9 })).toBeLessThan(sigma);
  });

  test('does not go below 0.5, where the bounds end', () => {
    const generous = { ...RUN, epsilon: 1e6, rounds: 1, clipSteps: 1, dimension: 1, beta: 0 };
    expect(localSigmaFor(generous)).toBe(0.5);
  });

  test.each([
    ['an epsilon that no order expresses', { epsilon: 0.001 }],
    ['a grid that is too fine', { clipSteps: 2 ** 30, honestSurvivors: 1 }],
  ])('refuses %s', (_, change) => {
    expect(() => localSigmaFor({ ...RUN, ...change })).toThrow(
      expect.objectContaining({ code: 'CONFIG_CONFLICT', message: expect.stringContaining('40 rounds') }),
    );
  });

  test.each([{ epsilon: 0 }, { delta: 0 }, { delta: 1 }, { rounds: 0 }, { rounds: 1.5 }])(
    'refuses %o',
    (change) => {
      expect(() => localSigmaFor({ ...RUN, ...change })).toThrow(
        expect.objectContaining({ code: 'INTERNAL' }),
      );
    },
  );
});

describe('spendOf', () => {
  const spend = spendOf({ ...RUN, localSigma: localSigmaFor(RUN) });

  test('composes round after round', () => {
    expect(spend.epsilons).toHaveLength(40);
    spend.epsilons.forEach((epsilon, index) => {
      const rdp = repeatRdp(spend.rdpPerRound, index + 1);
      expect(epsilon).toBe(epsilonOf({ orders: DEFAULT_ORDERS, rdp, delta: RUN.delta }));
      if (index > 0) expect(epsilon).toBeGreaterThan(spend.epsilons[index - 1]!);
    });
  });

  test('spends less in the second half than in the first: epsilon grows about as the root of the rounds', () => {
    const half = spend.epsilons[19]!;
    expect(spend.epsilons[39]! / half).toBeGreaterThan(1.35);
    expect(spend.epsilons[39]! / half).toBeLessThan(1.6);
  });
});
