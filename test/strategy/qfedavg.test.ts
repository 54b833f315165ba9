import fc from 'fast-check';
import { expect, test } from 'vitest';
import { qfedavg } from '../../src/strategy/qfedavg.ts';
import { strategyConformance } from '../conformance/strategy.ts';

strategyConformance({ kind: qfedavg, options: {}, averages: true, firstStep: (mean) => mean });
strategyConformance({
  kind: qfedavg,
  options: { q: 5, weighting: 'equal' },
  averages: true,
  firstStep: (mean) => mean,
});

test('a weight is the base weight times the loss to the power of q (property)', () => {
  const q = fc.double({ min: 0.1, max: 5, noNaN: true });
  fc.assert(
    fc.property(
      q,
      fc.double({ min: 0, max: 0.95, noNaN: true }),
      fc.integer({ min: 1, max: 90 }),
      (power, score, questions) => {
        const weight = (weighting: string) =>
          qfedavg.create({ q: power, weighting }).weightOf({ questions, score });
        const expected = Math.exp(power * Math.log(1 - score));
        expect(weight('equal') / expected).toBeCloseTo(1, 9);
        expect(weight('questions') / (questions * expected)).toBeCloseTo(1, 9);
      },
    ),
  );
});

test('a group that is predicted perfectly still counts, and one without a score as in federated averaging', () => {
  const { weightOf } = qfedavg.create({ q: 2 });
  expect(weightOf({ questions: 10, score: 1 })).toBeCloseTo(10 * 0.05 ** 2, 12);
  expect(weightOf({ questions: 10, score: null })).toBe(10);
});
