import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { addBins, addPrediction, calibrationError, emptySplits } from '../../src/evaluate/calibration.ts';

type Pair = readonly [predicted: readonly number[], truth: readonly number[]];

function errorOf(pairs: readonly Pair[]): number | undefined {
  const { unseen } = emptySplits();
  for (const [predicted, truth] of pairs) addPrediction(unseen, predicted, truth);
  return calibrationError(unseen);
}

/** As it is defined, option by option. */
function defined(pairs: readonly Pair[]): number {
  const options = pairs.flatMap(([predicted, truth]) => predicted.map((p, i) => ({ p, y: truth[i]! })));
  let error = 0;
  for (let bin = 0; bin < 15; bin++) {
    const own = options.filter(({ p }) => Math.min(14, Math.floor(p * 15)) === bin);
    if (own.length === 0) continue;
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const gap = Math.abs(mean(own.map(({ p }) => p)) - mean(own.map(({ y }) => y)));
    error += (own.length / options.length) * gap;
  }
  return error;
}

const distribution = fc
  .array(fc.integer({ min: 0, max: 1000 }), { minLength: 3, maxLength: 3 })
  .map((weights) => {
    const total = weights.reduce((a, b) => a + b, 0);
    return total === 0 ? [1, 0, 0] : weights.map((weight) => weight / total);
  });

describe('expected calibration error', () => {
  test('is the mean gap between what was predicted and what was true, bin by bin (property)', () => {
    const pairs = fc.array(fc.tuple(distribution, distribution), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(pairs, (all) => {
        expect(errorOf(all)).toBeCloseTo(defined(all), 12);
      }),
    );
  });

  test('is undefined for nothing, 0 for perfect predictions, and for shares that are right on average', () => {
    expect(errorOf([])).toBeUndefined();
    expect(
      errorOf([
        [
          [0.2, 0.8],
          [0.2, 0.8],
        ],
      ]),
    ).toBe(0);
    // Two questions whose answers differ from what is predicted for both, in opposite directions.
    const even = [0.5, 0.5];
    expect(
      errorOf([
        [even, [0.1, 0.9]],
        [even, [0.9, 0.1]],
      ]),
    ).toBeCloseTo(0, 12);
  });

  test('tells predictions that are too sure from those that are as sure as they may be', () => {
    const random = randomStream(1, 'calibration');
    const pairs = Array.from({ length: 500 }, (): Pair => {
      const p = random.uniform();
      const y = random.uniform() < p ? 1 : 0;
      return [
        [p, 1 - p],
        [y, 1 - y],
      ];
    });
    const sharpened = pairs.map(([[p = 0], truth]): Pair => {
      const sure = p ** 4 / (p ** 4 + (1 - p) ** 4);
      return [[sure, 1 - sure], truth];
    });
    expect(errorOf(sharpened)!).toBeGreaterThan(3 * errorOf(pairs)!);
  });

  test('bins of several parts add up to those of the whole', () => {
    const pairs: Pair[] = [
      [
        [0.9, 0.1],
        [0.5, 0.5],
      ],
      [
        [0.3, 0.7],
        [0.6, 0.4],
      ],
    ];
    const sum = emptySplits();
    for (const [predicted, truth] of pairs) {
      const own = emptySplits();
      addPrediction(own.unseen, predicted, truth);
      addBins(sum, own);
    }
    expect(calibrationError(sum.unseen)).toBeCloseTo(errorOf(pairs)!, 12);
    expect(calibrationError(sum.training)).toBeUndefined();
  });
});
