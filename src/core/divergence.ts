import { invariant, PluralError } from './errors.ts';

/** How far a sum of probabilities may be off 1: a float32 softmax is within 1e-6, a rounded table is not. */
const SUM_TOLERANCE = 1e-5;

/** Shares of the options of one question, shape [options]. */
export type Shares = Float64Array | Float32Array | readonly number[];

/**
 * Checks that shares are a probability distribution: finite, non-negative, sum 1 within 1e-5.
 * Returns the sum. Errors: NOT_FINITE, so that a broken prediction can never count as a good one.
 */
export function checkShares(shares: Shares, what: string): number {
  let sum = 0;
  for (let option = 0; option < shares.length; option++) {
    const share = shares[option]!;
    if (!Number.isFinite(share) || share < 0) {
      throw new PluralError('NOT_FINITE', `${what} has ${share} at option ${option}`, {
        hint: 'Shares must be finite and not negative. A model that diverged gives such numbers: lower its learning rate.',
      });
    }
    sum += share;
  }
  if (Math.abs(sum - 1) > SUM_TOLERANCE) {
    throw new PluralError('NOT_FINITE', `${what} sums to ${sum}, not to 1`, {
      hint: 'Shares of one question must sum to 1; normalise them before scoring.',
    });
  }
  return sum;
}

/** a log(a / m), and its limit 0 at a = 0. */
function relativeEntropyTerm(a: number, m: number): number {
  return a === 0 ? 0 : a * Math.log(a / m);
}

/**
 * Jensen-Shannon divergence of two distributions over the same options, in nats, in [0, ln 2] (Lin 1991, eq. 3.5).
 * Both are divided by their own sum first, so rounding left by float32 does not show.
 * Errors: NOT_FINITE for anything that is not a distribution.
 */
export function jensenShannonDivergence(p: Shares, q: Shares): number {
  invariant(p.length === q.length && p.length > 0, `distributions over ${p.length} and ${q.length} options`);
  const pSum = checkShares(p, 'the first distribution');
  const qSum = checkShares(q, 'the second distribution');
  let twice = 0;
  for (let option = 0; option < p.length; option++) {
    const a = p[option]! / pSum;
    const b = q[option]! / qSum;
    const middle = (a + b) / 2;
    twice += relativeEntropyTerm(a, middle) + relativeEntropyTerm(b, middle);
  }
  // Rounding may leave the sum a few ulps outside the range that the maths guarantees.
  return Math.min(Math.LN2, Math.max(0, twice / 2));
}
