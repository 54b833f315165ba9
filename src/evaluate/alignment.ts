import { jensenShannonDivergence, type Shares } from '../core/divergence.ts';

/** `e`: natural logarithm, distance in [0, sqrt(ln 2) = 0.833]; `2`: base-2 logarithm, distance in [0, 1]. */
export type LogBase = 'e' | 2;

/**
 * Jensen-Shannon distance: the square root of the divergence (Endres and Schindelin 2003), a metric.
 * Errors: NOT_FINITE for input that is not a distribution.
 */
export function jensenShannonDistance(p: Shares, q: Shares, { base }: { readonly base: LogBase }): number {
  const nats = jensenShannonDivergence(p, q);
  return Math.sqrt(base === 2 ? nats / Math.LN2 : nats);
}

/**
 * Alignment score of a prediction: 1 - Jensen-Shannon distance with natural logarithm, in [1 - sqrt(ln 2), 1]
 * (the score of the PluralLLM paper, as its code computes it). Errors: NOT_FINITE.
 */
export function alignmentScore(predicted: Shares, truth: Shares): number {
  return 1 - jensenShannonDistance(predicted, truth, { base: 'e' });
}

/** The lowest alignment score there is, of two distributions without a common option: 1 - sqrt(ln 2) = 0.167. */
export const ALIGNMENT_FLOOR = 1 - Math.sqrt(Math.LN2);
