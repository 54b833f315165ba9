import fc from 'fast-check';

function normalised(weights: readonly number[]): Float64Array {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return Float64Array.from(weights, (weight) => weight / sum);
}

/** Shares over `options` options, exact zeros included. */
export function sharesOf(options: number): fc.Arbitrary<Float64Array> {
  const weight = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1_000_000 }));
  return fc
    .array(weight, { minLength: options, maxLength: options })
    .filter((weights) => weights.some((value) => value > 0))
    .map(normalised);
}

/** Two distributions over the same 1 to 18 options. */
export const twoShares = fc
  .integer({ min: 1, max: 18 })
  .chain((options) => fc.tuple(sharesOf(options), sharesOf(options)));
