import fc from 'fast-check';
import { expect, test } from 'vitest';
import { adaptive } from '../../src/strategy/adaptive.ts';
import { strategyConformance } from '../conformance/strategy.ts';

strategyConformance({ kind: adaptive, options: {}, averages: true, firstStep: (mean) => mean });
strategyConformance({
  kind: adaptive,
  options: { temperature: 0.1, weighting: 'equal' },
  averages: true,
  firstStep: (mean) => mean,
});

test('the shares of groups are the softmax of their losses over the temperature (property)', () => {
  const scores = fc.array(fc.double({ min: 0, max: 0.95, noNaN: true }), { minLength: 2, maxLength: 8 });
  fc.assert(
    fc.property(scores, fc.double({ min: 0.1, max: 3, noNaN: true }), (all, temperature) => {
      const { weightOf } = adaptive.create({ temperature, weighting: 'equal' });
      const weights = all.map((score) => weightOf({ questions: 7, score }));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const tilted = all.map((score) => Math.exp(-score / temperature));
      const tiltedTotal = tilted.reduce((sum, value) => sum + value, 0);
      for (const [i, weight] of weights.entries()) {
        expect(weight / total).toBeCloseTo(tilted[i]! / tiltedTotal, 9);
      }
    }),
  );
});
