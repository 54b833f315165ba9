import { invariant } from '../../core/errors.ts';
import { MODULUS } from './ring.ts';
import { BINOMIAL_BITS, MOST_FLOOD_BITS } from './sample.ts';

/**
 * How words are put into polynomials, and how much noise there is. In units where the circle is q, a sum of n = mostGroups
 * ciphertexts differs from its plaintext by
 *
 *   |sum of x|  <= B = 9 * sqrt(n * 21 / 2)     deviations; more has a chance below 2^-57 for one coefficient: a sum of
 *                                               42 n coins worth +-1/2, Hoeffding 1963: 2 exp(-2 B^2 / (42 n)) = 2 exp(-40.5)
 *   |sum of f|  <= n * 2^F                      always. F is the largest there is room for, with 2^F >= 2^40 * B: one group's f, uniform in
 *                                               -2^F..2^F-1, is then within a statistical distance of 2^-41 of the same
 *                                               moved by the whole sum of x, for one coefficient
 *   rounding    <= n * 2^(-8 bytes) * q         each group rounds its fraction to `bytes` bytes, half a unit at most. The 64 bits
 *                                               of `toFixed` are off by 2^-64 for each group and once for the reader. Where
 *                                               bytes <= 7 both fit in the other half unit; for 8 bytes, whose only
 *                                               error is that of `toFixed` (and n >= 2), it is 2 n * 2^-64.
 *
 * Two plaintexts are q / 2^(slots * ringBits) apart, a step. Noise may take an eighth of a step, and rounding another: what is
 * read is then within a quarter of a step of a plaintext. A reader takes what is within 3/8 (`slots.ts`).
 */
export interface CipherPlan {
  readonly ringBits: number;
  readonly mostGroups: number;
  /** Words in one coefficient. */
  readonly slots: number;
  /** F: flooding noise is uniform in -2^F..2^F-1. */
  readonly floodBits: number;
  /** Bytes of one coefficient on the wire. */
  readonly bytes: number;
}

const DEVIATIONS = 9;
const HIDING_BITS = 40;
/** The part of a step that noise may take, and rounding too, is one in so many. */
const PART = 8n;
/** So that plaintexts, and twice them, are exact doubles. */
const MOST_PLAINTEXT_BITS = 51;
const MOST_BYTES = 8;

/** B: what the sum of the binomial noise of so many groups stays below. */
export function smallBound(groups: number): number {
  return Math.ceil(DEVIATIONS * Math.sqrt((groups * BINOMIAL_BITS) / 2));
}

/** What the sum of all noise of so many groups stays below, in units of 1 / q. */
export function noiseBound(groups: number, floodBits: number): bigint {
  return BigInt(groups) * 2n ** BigInt(floodBits) + BigInt(smallBound(groups));
}

/** What all rounding together stays below, in units of 2^-64. */
export function roundingBound(groups: number, bytes: number): bigint {
  const unit = 2n ** BigInt(64 - 8 * bytes);
  return BigInt(groups) * (bytes === MOST_BYTES ? 2n : unit);
}

/** Whether noise stays within its part of a step of 2^-plaintextBits. */
function noiseFits(groups: number, floodBits: number, plaintextBits: number): boolean {
  return PART * noiseBound(groups, floodBits) * 2n ** BigInt(plaintextBits) <= MODULUS;
}

/** The fewest bytes with which rounding stays within its part of a step; null where 8 are not enough. */
function bytesFor(groups: number, plaintextBits: number): number | null {
  const part = 2n ** BigInt(64 - plaintextBits);
  for (let bytes = 1; bytes <= MOST_BYTES; bytes++)
    if (PART * roundingBound(groups, bytes) <= part) return bytes;
  return null;
}

/** The least F with 2^F >= 2^40 * B. */
function floodBitsFor(groups: number): number {
  return HIDING_BITS + Math.ceil(Math.log2(smallBound(groups)));
}

/** The largest F for which there is room: what hides better costs nothing. */
function mostFloodBits(groups: number, plaintextBits: number): number {
  let floodBits = floodBitsFor(groups);
  while (floodBits < MOST_FLOOD_BITS && noiseFits(groups, floodBits + 1, plaintextBits)) floodBits++;
  return floodBits;
}

/**
 * The plan for words of `ringBits` bits (1..32), sums of which stay in -2^(ringBits-1)..2^(ringBits-1)-1, and up to `mostGroups`
 * groups; with as many slots as fit. Null where not even one does.
 */
export function cipherPlan(options: {
  readonly ringBits: number;
  readonly mostGroups: number;
}): CipherPlan | null {
  const { ringBits, mostGroups } = options;
  invariant(Number.isInteger(ringBits) && ringBits >= 1 && ringBits <= 32, `words of ${ringBits} bits`);
  invariant(Number.isInteger(mostGroups) && mostGroups >= 1, `${mostGroups} groups`);
  const floodBits = floodBitsFor(mostGroups);
  if (floodBits > MOST_FLOOD_BITS) return null;
  for (let slots = Math.floor(MOST_PLAINTEXT_BITS / ringBits); slots >= 1; slots--) {
    const bytes = bytesFor(mostGroups, slots * ringBits);
    if (bytes === null || !noiseFits(mostGroups, floodBits, slots * ringBits)) continue;
    return { ringBits, mostGroups, slots, floodBits: mostFloodBits(mostGroups, slots * ringBits), bytes };
  }
  return null;
}
