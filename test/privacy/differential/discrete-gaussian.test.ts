import { describe, expect, test } from 'vitest';
import { sampleDiscreteGaussian } from '../../../src/privacy/differential/discrete-gaussian.ts';
import { ctrBytes } from './ctr-bytes.ts';

const SAMPLES = 300_000;
/** How many standard deviations a figure may be off: 1 in 1.7 million for one of them, and the seed is fixed. */
const DEVIATIONS = 5;

function samples(sigma: number, count = SAMPLES, seed = 1): Int32Array {
  const out = new Int32Array(count);
  sampleDiscreteGaussian(out, sigma, ctrBytes(seed));
  return out;
}

/** Probabilities of -reach to reach by summation, index 0 for -reach; outside is less than e^-60. */
function exactProbabilities(sigma: number): { reach: number; probabilities: Float64Array } {
  const reach = Math.ceil(11 * sigma);
  const weights = Float64Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-((i - reach) ** 2) / (2 * sigma ** 2)),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return { reach, probabilities: weights.map((weight) => weight / total) };
}

/** The moment E x^power of the exact distribution. */
function exactMoment(sigma: number, power: number): number {
  const { reach, probabilities } = exactProbabilities(sigma);
  return probabilities.reduce((sum, probability, i) => sum + probability * (i - reach) ** power, 0);
}

/**
 * Pearson's statistic against the exact distribution over cells of at least 25 expected samples, in standard
 * deviations of its chi-square distribution.
 */
function misfit(sigma: number, drawn: Int32Array): number {
  const { reach, probabilities } = exactProbabilities(sigma);
  const counts = new Float64Array(probabilities.length);
  for (const x of drawn) counts[x + reach]!++;
  // About 40 cells for a wide distribution, one for each integer for a narrow one.
  const width = Math.max(1, Math.floor(sigma / 5));
  let [cells, statistic, observed, expected, left] = [0, 0, 0, 0, drawn.length];
  for (let i = 0; i < counts.length; i++) {
    observed += counts[i]!;
    expected += probabilities[i]! * drawn.length;
    if (i % width !== 0 || expected < 25 || left - expected < 25) continue;
    statistic += (observed - expected) ** 2 / expected;
    cells++;
    left -= expected;
    [observed, expected] = [0, 0];
  }
  if (expected > 0) statistic += (observed - expected) ** 2 / expected;
  return (statistic - cells) / Math.sqrt(2 * cells);
}

// Around the powers of two, where the scale of the proposal needs one bit more; and where it does not divide sigma.
const SIGMAS = [0.35, 0.5, 0.99, 1, 1.5, 2, 3.999, 4, 15.9, 16, 100.25, 1000.5];

describe.each(SIGMAS)('sigma %d, 300,000 samples', (sigma) => {
  const drawn = samples(sigma);

  test('mean 0', () => {
    const mean = drawn.reduce((sum, x) => sum + x, 0) / SAMPLES;
    expect(Math.abs(mean)).toBeLessThan(DEVIATIONS * Math.sqrt(exactMoment(sigma, 2) / SAMPLES));
  });

  test('variance of the exact distribution', () => {
    const variance = drawn.reduce((sum, x) => sum + x * x, 0) / SAMPLES;
    const exact = exactMoment(sigma, 2);
    const deviation = Math.sqrt((exactMoment(sigma, 4) - exact ** 2) / SAMPLES);
    expect(Math.abs(variance - exact)).toBeLessThan(DEVIATIONS * deviation);
  });

  test('as many above 0 as below', () => {
    const positive = drawn.reduce((count, x) => count + (x > 0 ? 1 : 0), 0);
    const negative = drawn.reduce((count, x) => count + (x < 0 ? 1 : 0), 0);
    expect(Math.abs(positive - negative)).toBeLessThan(DEVIATIONS * Math.sqrt(positive + negative));
  });

  test('fits the exact probabilities', () => {
    expect(misfit(sigma, drawn)).toBeLessThan(DEVIATIONS);
  });
});

describe('the checks can fail', () => {
  test.each([0.5, 2, 16, 1000.5])('on a sigma that is off by a fiftieth (%d)', (sigma) => {
    expect(misfit(sigma, samples(sigma * 1.02))).toBeGreaterThan(DEVIATIONS);
  });

  test('on a normal deviate that is rounded', () => {
    // Rounding adds 1/12 to the variance: what a sampler that is not exact would do.
    const rounded = samples(50 * 0.7, SAMPLES).map((x) => Math.round(x / 50));
    expect(misfit(0.7, rounded)).toBeGreaterThan(DEVIATIONS);
  });
});

describe('sampleDiscreteGaussian', () => {
  test.each([1e6, 2 ** 24])('covers sigma %d without leaving 32 bits', (sigma) => {
    const drawn = samples(sigma, 100_000);
    const variance = drawn.reduce((sum, x) => sum + x * x, 0) / drawn.length;
    expect(Math.abs(variance / sigma ** 2 - 1)).toBeLessThan(DEVIATIONS * Math.sqrt(2 / drawn.length));
    expect(Math.max(...drawn.subarray(0, 10_000)) / sigma).toBeLessThan(6);
  });

  test('is a function of the bytes', () => {
    expect(samples(3, 100)).toEqual(samples(3, 100));
    expect(samples(3, 100)).not.toEqual(samples(3, 100, 2));
  });

  test('neighbouring samples have nothing to do with each other', () => {
    const drawn = samples(7);
    const products = drawn.subarray(1).reduce((sum, x, i) => sum + x * drawn[i]!, 0) / SAMPLES;
    expect(Math.abs(products)).toBeLessThan((DEVIATIONS * 49) / Math.sqrt(SAMPLES));
  });

  test('draws nothing for an empty array, and little for a short one', () => {
    let drawn = 0;
    const bytes = (count: number) => {
      drawn += count;
      return ctrBytes(1)(count);
    };
    sampleDiscreteGaussian(new Int32Array(0), 1, bytes);
    expect(drawn).toBe(0);
    sampleDiscreteGaussian(new Int32Array(1), 1, bytes);
    expect(drawn).toBeLessThan(1000);
  });

  test.each([0, -1, 0.001, 2 ** 25, Number.NaN, Number.POSITIVE_INFINITY])('refuses sigma %d', (sigma) => {
    expect(() => samples(sigma, 1)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });
});
