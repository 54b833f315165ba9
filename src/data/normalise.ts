/** A share given in whole percent is off by at most this much per option. */
const ROUNDING_PER_OPTION = 0.005;

/** Sums this near to 1 are left as they are, so that validating a stored survey again changes no bit of it. */
const ALREADY_NORMALISED = 1e-12;

export interface Normalised {
  /** Sum 1, shape [options]; undefined where the weights have no usable sum. */
  readonly distribution?: Float64Array;
  /** `zero`: all weights are 0. `overflow`: their sum is not finite. `sum`: shares off 1 by more than rounding. */
  readonly fault?: 'zero' | 'overflow' | 'sum';
}

/** How far the sum of so many rounded shares may lie from 1. */
export function roundingTolerance(options: number): number {
  return options * ROUNDING_PER_OPTION + ALREADY_NORMALISED;
}

/** Divides finite, non-negative weights by their sum, and says what was unusual about it. */
export function normalised(weights: ArrayLike<number>, kind: 'shares' | 'counts'): Normalised {
  const distribution = Float64Array.from(weights);
  const sum = distribution.reduce((total, weight) => total + weight, 0);
  if (sum === 0) return { fault: 'zero' };
  if (!Number.isFinite(sum)) return { fault: 'overflow' };
  const offBy = Math.abs(sum - 1);
  if (offBy > ALREADY_NORMALISED)
    for (const [i, weight] of distribution.entries()) distribution[i] = weight / sum;
  const unusual = kind === 'shares' && offBy > roundingTolerance(distribution.length);
  return unusual ? { distribution, fault: 'sum' } : { distribution };
}
