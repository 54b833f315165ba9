import { invariant } from '../../core/errors.ts';
import type { Fractions } from './fixed.ts';
import type { CipherPlan } from './plan.ts';
import { DEGREE } from './ring.ts';

/**
 * A plaintext M is the sum of v_j * 2^(ringBits * j) over the slots j of one coefficient, for signed words v_j; it stands on the
 * circle at M * 2^(-slots * ringBits). Sums of plaintexts are plaintexts of sums, as long as each sum stays in
 * -2^(ringBits-1)..2^(ringBits-1)-1: what a negative word takes from the slot above comes back when slots are read from the
 * lowest. Word (c * slots + j) of a polynomial is in slot j of coefficient c.
 */

/** What may lie between a sum and the nearest plaintext, in steps. Compared exactly where a plaintext has 12 bits or more, as in every plan. */
const MOST_DISTANCE = 3 / 8;

/** Words of one polynomial. */
export function wordsPerPolynomial({ slots }: CipherPlan): number {
  return slots * DEGREE;
}

/** The same memory as signed numbers. */
export function signedOf(words: Uint32Array): Int32Array {
  return new Int32Array(words.buffer, words.byteOffset, words.length);
}

/** Whether each word, in two's complement, is one that a slot can hold. */
export function fitSlots(words: Uint32Array, { ringBits }: CipherPlan): boolean {
  const limit = 2 ** (ringBits - 1);
  return signedOf(words).every((word) => word >= -limit && word < limit);
}

/** The plaintext of the words at..at+slots-1, signed; behind the end they are zero. Exact, for it has 51 bits and a sign. */
function plaintextAt(words: Int32Array, at: number, { slots, ringBits }: CipherPlan): number {
  const base = 2 ** ringBits;
  let plaintext = 0;
  for (let j = slots - 1; j >= 0; j--) plaintext = plaintext * base + (words[at + j] ?? 0);
  return plaintext;
}

/** Adds the plaintexts of `words` from word `from` on to the 4096 fractions of one polynomial. */
export function addPlaintexts(fractions: Fractions, words: Int32Array, from: number, plan: CipherPlan): void {
  const { hi, lo } = fractions;
  const modulus = 2 ** (plan.slots * plan.ringBits);
  const toHigh = 2 ** 32 / modulus;
  for (let i = 0, at = from; i < DEGREE && at < words.length; i++, at += plan.slots) {
    const plaintext = plaintextAt(words, at, plan);
    const residue = plaintext - Math.floor(plaintext / modulus) * modulus;
    // Only multiplied with powers of two: exact.
    const high = Math.floor(residue * toHigh);
    const low = lo[i]! + (residue * toHigh - high) * 2 ** 32;
    lo[i] = low;
    hi[i] = hi[i]! + high + (low >= 2 ** 32 ? 1 : 0);
  }
}

/** Writes the slots of a plaintext as words, from the lowest on; the sign of a slot is carried to the next. */
function writeSlots(
  words: Uint32Array,
  at: number,
  plaintext: number,
  { slots, ringBits }: CipherPlan,
): void {
  const base = 2 ** ringBits;
  let rest = plaintext;
  for (let j = 0; j < slots && at + j < words.length; j++) {
    const above = Math.floor(rest / base + 0.5);
    words[at + j] = rest - above * base;
    rest = above;
  }
}

/**
 * Reads the words of 4096 fractions into `words` from word `from` on, as many as there is room for. False where a fraction
 * is farther than 3/8 of a step from every plaintext: then it is noise, read with the wrong key.
 */
export function readPlaintexts(
  fractions: Fractions,
  words: Uint32Array,
  from: number,
  plan: CipherPlan,
): boolean {
  const { hi, lo } = fractions;
  invariant(hi.length === DEGREE && lo.length === DEGREE, '4096 fractions');
  const modulus = 2 ** (plan.slots * plan.ringBits);
  const ofHigh = modulus / 2 ** 32;
  const ofLow = ofHigh / 2 ** 32;
  for (let i = 0, at = from; i < DEGREE; i++, at += plan.slots) {
    const high = hi[i]! * ofHigh;
    const low = lo[i]! * ofLow;
    const whole = Math.floor(high) + Math.floor(low);
    const rest = high - Math.floor(high) + (low - Math.floor(low));
    if (rest > MOST_DISTANCE && rest < 1 - MOST_DISTANCE) return false;
    writeSlots(words, at, rest < 0.5 ? whole : whole + 1, plan);
  }
  return true;
}
