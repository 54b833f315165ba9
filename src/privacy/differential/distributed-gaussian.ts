import { invariant } from '../../core/errors.ts';

/**
 * What a sum reveals when every group adds its own discrete Gaussian: Kairouz, Liu, Steinke, "The distributed
 * discrete Gaussian mechanism for federated learning with secure aggregation", 2021. All lengths are in grid units.
 *
 * Neighbours: one group's contribution is zeroed, its noise stays. The bound counts the shares of noise that the
 * observer does not know, so what colluding groups add is not in `honestSurvivors`; more shares than that, and the
 * reduction modulo the ring, only process the result further.
 */

/** Below it the bounds are not proved (Proposition 14 asks for sigma^2 >= 1/4). */
export const SMALLEST_LOCAL_SIGMA = 0.5;

/** The rounded contributions of one round. */
export interface Rounding {
  /** L2 norm that a contribution is clipped to, before rounding. */
  readonly clipSteps: number;
  /** Numbers in a contribution. */
  readonly dimension: number;
  /**
   * The largest probability, in [0, 1), that a contribution is rounded again because its norm is above the bound.
   * 0: nothing is rounded twice, and the bound is the one that always holds.
   */
  readonly beta: number;
}

/**
 * The L2 norm that a contribution has after each number was rounded up or down by chance, if those with a larger
 * norm are rounded again (Theorem 1 and section 4.1, equations 18 and 19). It is the sensitivity of the sum.
 * Rounding again shifts the mean of a contribution, by more for a larger beta.
 */
export function roundedNormBound({ clipSteps, dimension, beta }: Rounding): number {
  invariant(clipSteps > 0 && beta >= 0 && beta < 1, `clip of ${clipSteps} steps, beta ${beta}`);
  invariant(Number.isInteger(dimension) && dimension > 0, `dimension ${dimension}`);
  const always = clipSteps + Math.sqrt(dimension);
  if (beta === 0) return always;
  const deviation = Math.sqrt(-2 * Math.log(beta)) * (clipSteps + Math.sqrt(dimension) / 2);
  return Math.min(always, Math.sqrt(clipSteps ** 2 + dimension / 4 + deviation));
}

/** The noise that groups add to a sum of integer vectors, and what it has to hide. */
export interface NoisySum {
  /** Parameter of each group's discrete Gaussian; at least 0.5. */
  readonly localSigma: number;
  /** Groups whose noise is in the sum and unknown to the observer; at least 1. */
  readonly honestSurvivors: number;
  /** Largest L2 norm of one group's integer vector. */
  readonly sensitivity: number;
  readonly dimension: number;
}

/**
 * tau, how far a sum of discrete Gaussians is from one discrete Gaussian of the same variance, per number; 0 for a
 * single share, and below 1e-15 from localSigma 2 on (Theorem 1, equation 3).
 */
export function shapeGap(localSigma: number, honestSurvivors: number): number {
  let sum = 0;
  for (let k = 1; k < honestSurvivors; k++) {
    sum += Math.exp((-2 * Math.PI ** 2 * localSigma ** 2 * k) / (k + 1));
  }
  return 10 * sum;
}

function check({ localSigma, honestSurvivors, sensitivity, dimension }: NoisySum): void {
  invariant(localSigma >= SMALLEST_LOCAL_SIGMA, `local sigma ${localSigma}`);
  invariant(Number.isInteger(honestSurvivors) && honestSurvivors > 0, `${honestSurvivors} honest survivors`);
  invariant(sensitivity > 0, `sensitivity ${sensitivity}`);
  invariant(Number.isInteger(dimension) && dimension > 0, `dimension ${dimension}`);
}

/** The terms that all bounds are made of: each divergence is order / 2 times `squared`, or uses `apart` instead. */
function termsOf(sum: NoisySum): { squared: number; apart: number; gap: number } {
  check(sum);
  const { localSigma, honestSurvivors, sensitivity, dimension } = sum;
  const stddev = localSigma * Math.sqrt(honestSurvivors);
  const tau = shapeGap(localSigma, honestSurvivors);
  const scale = sensitivity / stddev;
  // The L1 norm of an integer vector is at most the square of its L2 norm, and at most sqrt(dimension) times it.
  const l1Scale = Math.min(Math.sqrt(dimension) * sensitivity, sensitivity ** 2) / stddev;
  return {
    squared: scale ** 2,
    apart: scale ** 2 + 2 * l1Scale * tau + tau ** 2 * dimension,
    gap: tau * dimension,
  };
}

/**
 * RDP of one sum, at each order (Proposition 14): the smaller of order / 2 (D2 / s)^2 + tau d and
 * order / 2 ((D2 / s)^2 + 2 tau D1 / s + tau^2 d), with the deviation s of all noise, D1 and D2 the L1 and L2
 * sensitivity, and d the dimension.
 */
export function rdpOfNoisySum(sum: NoisySum, orders: readonly number[]): number[] {
  const { squared, apart, gap } = termsOf(sum);
  return orders.map((order) => Math.min((order / 2) * squared + gap, (order / 2) * apart));
}

/**
 * The epsilon for which one sum is (epsilon^2 / 2)-concentrated DP: RDP of at most order epsilon^2 / 2 at every
 * order (Theorem 1, equation 4). Never smaller than what `rdpOfNoisySum` says, which keeps each order's own bound.
 */
export function concentratedEpsilon(sum: NoisySum): number {
  const { squared, apart, gap } = termsOf(sum);
  return Math.sqrt(Math.min(squared + 2 * gap, apart));
}
