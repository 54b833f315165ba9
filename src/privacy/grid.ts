import { invariant, PluralError } from '../core/errors.ts';
import type { Update } from '../wire/stages.ts';

/**
 * The whole numbers that protections add. A weighted delta becomes a number of steps of a public grid, rounded up or down by
 * chance so that its mean is right; a sum of them modulo 2^ringBits is exact in every order.
 */
export interface Grid {
  /** Bits of one group's number, with its sign. */
  readonly bits: number;
  /** Bits of a sum over `mostGroups` groups. */
  readonly ringBits: number;
  /** Largest absolute change of a parameter; what is larger is cut. */
  readonly clipValue: number;
  /** Largest L2 norm of a delta, above which it is scaled down; null for none. */
  readonly clipNorm: number | null;
  /** The largest weight a group can have. */
  readonly mostWeight: number;
  /** Weight times delta of one step. */
  readonly step: number;
}

/** Most bits of the ring: sums are kept in 32-bit words. */
export const MOST_RING_BITS = 32;

/** Deviations of a sum's noise that the ring has room for: one number in 10^15 is further off. */
const NOISE_ROOM = 8;

/** How far the noise moves one number of a sum over so many groups, in steps. */
export function noiseRoom(sigma: number, groups: number): number {
  return NOISE_ROOM * sigma * Math.sqrt(groups);
}

/** Bits that the sum of `mostGroups` numbers of `bits` bits needs, each with noise of deviation `sigma` steps. */
export function ringBitsOf(bits: number, mostGroups: number, sigma = 0): number {
  const largest = mostGroups * 2 ** (bits - 1) + noiseRoom(sigma, mostGroups);
  return 1 + Math.ceil(Math.log2(largest));
}

/** The grid of a run. `bits` 4 to 24; `clipValue` and `mostWeight` above 0; the ring must fit, as the options' schema checks. */
export function gridOf(settings: {
  readonly bits: number;
  readonly mostGroups: number;
  readonly clipValue: number;
  readonly clipNorm: number | null;
  readonly mostWeight: number;
  /** Deviation of each group's noise, in steps. */
  readonly sigma?: number;
}): Grid {
  const { bits, mostGroups, clipValue, clipNorm, mostWeight, sigma } = settings;
  const ringBits = ringBitsOf(bits, mostGroups, sigma);
  invariant(ringBits <= MOST_RING_BITS, 'a ring that fits a word');
  invariant(clipValue > 0 && mostWeight > 0, 'a grid that is not a point');
  const step = stepOf(settings);
  return { bits, ringBits, clipValue, clipNorm, mostWeight, step };
}

/** Weight times delta of one step. */
export function stepOf(settings: Pick<Grid, 'bits' | 'clipValue' | 'mostWeight'>): number {
  return (settings.clipValue * settings.mostWeight) / largestOf(settings.bits);
}

/**
 * The smallest weight whose largest number is a step: no more than twice what is clipped comes of rounding it, and it takes more than one
 * unit of the weights' own grid (scalars.ts), as 2^(bits-1) > 2^(bits-1) - 1.
 */
export function leastWeightOf({ bits, mostWeight }: Pick<Grid, 'bits' | 'mostWeight'>): number {
  return mostWeight / largestOf(bits);
}

/** The largest number of `bits` bits with a sign. */
function largestOf(bits: number): number {
  return 2 ** (bits - 1) - 1;
}

/** What scales a delta down to the clip norm; 1 where it is inside. Errors: UPDATE_NOT_FINITE. */
function scaleOf({ group, round, delta }: Update, clipNorm: number | null): number {
  let squares = 0;
  for (let i = 0; i < delta.length; i++) squares += delta[i]! * delta[i]!;
  if (!Number.isFinite(squares)) {
    throw new PluralError('UPDATE_NOT_FINITE', `update of group "${group}" in round ${round} is not finite`, {
      hint: 'Training diverged: lower training.learningRate.',
    });
  }
  const norm = Math.sqrt(squares);
  return clipNorm === null || norm <= clipNorm ? 1 : clipNorm / norm;
}

/**
 * The weighted delta in steps of the grid, written into `words` (two's complement) from `offset` on. `chance` holds one
 * uniform 32-bit word for each parameter: a number is rounded up with the probability of its fraction (to 2^-32).
 * Errors: UPDATE_NOT_FINITE.
 */
export function quantise(
  update: Update,
  grid: Grid,
  chance: Uint32Array,
  words: Uint32Array,
  offset: number,
): void {
  const { delta, weight } = update;
  // Zero for who takes part without an update.
  invariant(weight >= 0 && weight <= grid.mostWeight, 'a weight within the bound');
  const most = largestOf(grid.bits);
  const steps = (scaleOf(update, grid.clipNorm) * weight) / grid.step;
  const bound = (grid.clipValue * weight) / grid.step;
  for (let i = 0; i < delta.length; i++) {
    const cut = Math.max(-bound, Math.min(bound, delta[i]! * steps));
    words[offset + i] = Math.min(most, Math.floor(cut + chance[i]! * 2 ** -32));
  }
}

/** The weighted sum that a sum of words stands for, float64. `words` from `offset` on; what is above the ring is cut off. */
export function weightedSumOf(words: Uint32Array, offset: number, grid: Grid): Float64Array {
  const unused = MOST_RING_BITS - grid.ringBits;
  const sum = new Float64Array(words.length - offset);
  for (let i = 0; i < sum.length; i++) sum[i] = ((words[offset + i]! << unused) >> unused) * grid.step;
  return sum;
}
