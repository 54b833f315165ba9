import { invariant } from '../../core/errors.ts';
import { log1pExp, logAdd, logErfc, logExpm1, logSubtract } from './log-space.ts';

/** Renyi divergence bounds, one per order of a list of orders that is kept beside them. */
export type RdpCurve = readonly number[];

function steps(first: number, last: number, step: number): number[] {
  return Array.from({ length: (last - first) / step + 1 }, (_, index) => first + index * step);
}

/**
 * Orders that every guarantee is stated at: those that DP-SGD libraries agree on (1.1 to 10.9 and 12 to 63), some
 * nearer to 1 for an epsilon above 30, and some up to 1024 for one below 1. At delta 1e-6 the smallest epsilon
 * that they can express is 0.006.
 */
export const DEFAULT_ORDERS: readonly number[] = [
  ...[1.01, 1.02, 1.03, 1.05, 1.07],
  ...steps(11, 109, 1).map((tenths) => tenths / 10),
  ...steps(12, 63, 1),
  ...[...steps(64, 120, 8), ...steps(128, 240, 16), ...steps(256, 480, 32), ...steps(512, 1024, 64)],
];

/** RDP of one Gaussian mechanism at L2 sensitivity 1: order / (2 stddev^2) (Mironov 2017). */
export function rdpOfGaussian(noiseMultiplier: number, orders: readonly number[]): number[] {
  invariant(noiseMultiplier > 0, `noise multiplier ${noiseMultiplier}`);
  return orders.map((order) => order / (2 * noiseMultiplier ** 2));
}

/** A Gaussian mechanism that sees each record with probability `samplingRate`, at L2 sensitivity 1. */
export interface SampledGaussian {
  /** Poisson sampling rate q, in (0, 1]. */
  readonly samplingRate: number;
  /** Standard deviation over L2 sensitivity. */
  readonly noiseMultiplier: number;
}

/**
 * log A for an integer order (Mironov, Talwar, Zhang 2019, section 3.3). The binomial sum's terms 0 and 1 have the
 * exponent 0, and all weights sum to 1, so log A is log(1 + sum from 2 of weight (e^exponent - 1)): that keeps its
 * digits where A is next to 1.
 */
function logMomentInteger(q: number, sigma: number, order: number): number {
  let logWeight = order * Math.log1p(-q);
  let excess = Number.NEGATIVE_INFINITY;
  for (let k = 1; k <= order; k++) {
    logWeight += Math.log((order - k + 1) / k) + Math.log(q) - Math.log1p(-q);
    if (k > 1) excess = logAdd(excess, logWeight + logExpm1((k * k - k) / (2 * sigma * sigma)));
  }
  return log1pExp(excess);
}

/** Terms of the series below that are smaller than this, against its sum of at least 1, are left out. */
const SMALLEST_LOG_TERM = -34;

/**
 * log A for a fractional order (the same section): the integral is split where both summands of the mixture are
 * equal, and each half is a binomial series with normal tails. From term `order` on the signs alternate and the
 * terms shrink, so what is left out is below the last term.
 */
function logMomentFractional(q: number, sigma: number, order: number): number {
  const split = sigma * sigma * Math.log(1 / q - 1) + 0.5;
  const term = (k: number, tail: number): number =>
    k * Math.log(q) +
    (order - k) * Math.log1p(-q) +
    (k * k - k) / (2 * sigma * sigma) -
    Math.LN2 +
    logErfc(tail / (Math.SQRT2 * sigma));
  let logBinomial = 0;
  let negative = false;
  let positives = Number.NEGATIVE_INFINITY;
  let negatives = Number.NEGATIVE_INFINITY;
  for (let k = 0; ; k++) {
    const pair = logBinomial + logAdd(term(k, k - split), term(order - k, split - order + k));
    if (negative) negatives = logAdd(negatives, pair);
    else positives = logAdd(positives, pair);
    if (k > order && pair < SMALLEST_LOG_TERM) return logSubtract(positives, negatives);
    logBinomial += Math.log(Math.abs(order - k) / (k + 1));
    negative = negative !== order < k;
  }
}

/**
 * RDP of one Poisson-sampled Gaussian mechanism for add/remove neighbours, at each order (Mironov, Talwar, Zhang
 * 2019, "Renyi differential privacy of the sampled Gaussian mechanism", section 3.3). Integer orders are exact to
 * rounding; fractional ones have an absolute error below 1e-13 / (order - 1).
 */
export function rdpOfSampledGaussian(mechanism: SampledGaussian, orders: readonly number[]): number[] {
  const { samplingRate: q, noiseMultiplier: sigma } = mechanism;
  invariant(q > 0 && q <= 1 && sigma > 0, `sampling rate ${q}, noise multiplier ${sigma}`);
  if (q === 1) return rdpOfGaussian(sigma, orders);
  return orders.map((order) => {
    invariant(order > 1 && order < Number.POSITIVE_INFINITY, `order ${order}`);
    const logMoment = Number.isInteger(order) ? logMomentInteger : logMomentFractional;
    return Math.max(0, logMoment(q, sigma, order)) / (order - 1);
  });
}

/** RDP of running several mechanisms one after the other: the sum at each order (Mironov 2017). */
export function composeRdp(...curves: readonly RdpCurve[]): number[] {
  const [first = [], ...others] = curves;
  return first.map((rdp, index) => others.reduce((sum, other) => sum + other[index]!, rdp));
}

/** RDP of running one mechanism `count` times. */
export function repeatRdp(rdp: RdpCurve, count: number): number[] {
  return rdp.map((value) => value * count);
}

/** An RDP guarantee with the delta that its epsilon is asked for. */
export interface RdpGuarantee {
  readonly orders: readonly number[];
  readonly rdp: RdpCurve;
  readonly delta: number;
}

/**
 * The smallest epsilon such that the guarantee implies (epsilon, delta)-DP, over the given orders; at least 0
 * (Canonne, Kamath, Steinke 2020; Balle, Barthe, Gaboardi, Hsu, Sato 2020: the conversion from RDP).
 */
export function epsilonOf({ orders, rdp, delta }: RdpGuarantee): number {
  invariant(
    orders.length === rdp.length && orders.length > 0,
    `${rdp.length} bounds at ${orders.length} orders`,
  );
  invariant(delta > 0 && delta < 1, `delta ${delta}`);
  let least = Number.POSITIVE_INFINITY;
  orders.forEach((order, index) => {
    const epsilon = rdp[index]! + Math.log1p(-1 / order) - (Math.log(delta) + Math.log(order)) / (order - 1);
    least = Math.min(least, epsilon);
  });
  return Math.max(0, least);
}
