import { invariant } from '../../core/errors.ts';
import { type Fractions, toFixed, zeroFractions } from './fixed.ts';
import { reduce } from './modular.ts';
import type { CipherPlan } from './plan.ts';
import { DEGREE, PRIMES, type RingElement, zeroElement } from './ring.ts';
import { emptyNoise, LOW_BITS, type Noise, noiseSource } from './sample.ts';
import type { SealRing } from './seal-ring.ts';
import { addPlaintexts, fitSlots, readPlaintexts, signedOf, wordsPerPolynomial } from './slots.ts';

/**
 * Encryption of words with a one-time key s, an element of the ring in NTT form. Polynomial i is encrypted as
 *
 *   c_i = -(a_i * s) + x + f + q * M * 2^(-slots * ringBits)
 *
 * with a_i public, x and f noise (`sample.ts`), M the plaintexts (`slots.ts`). On the wire is c_i / q, a fraction of the circle, to the
 * nearest `bytes` bytes: big-endian, coefficient by coefficient, polynomial by polynomial. Rounding is a function of
 * -(a_i * s) + x + f, which is what hides M. The sum of ciphertexts is one of the sum of words, under the sum of keys.
 */

/** Polynomials that hold so many words. */
export function polynomialsFor(plan: CipherPlan, words: number): number {
  return Math.ceil(words / wordsPerPolynomial(plan));
}

/** Bytes of a ciphertext of so many words. */
export function ciphertextBytes(plan: CipherPlan, words: number): number {
  return polynomialsFor(plan, words) * DEGREE * plan.bytes;
}

/** noise - product, modulo each prime. With |high| <= 2^27 and a residue below 2^22 nothing exceeds 2^50. */
function hidden(product: RingElement, { high, low }: Noise, result: RingElement): void {
  for (const [j, prime] of PRIMES.entries()) {
    const inverse = 1 / prime;
    const unit = 2 ** LOW_BITS % prime;
    for (let i = 0, at = j * DEGREE; i < DEGREE; i++, at++)
      result[at] = reduce(high[i]! * unit + low[i]! - product[at]!, prime, inverse);
  }
}

/** Adds half a unit of the last byte on the wire, so that cutting rounds to the nearest. */
function addHalfUnit({ hi, lo }: Fractions, bytes: number): void {
  if (bytes >= 8) return;
  const half = 2 ** (63 - 8 * bytes);
  const high = Math.floor(half / 2 ** 32);
  const low = half % 2 ** 32;
  for (let i = 0; i < DEGREE; i++) {
    const sum = lo[i]! + low;
    lo[i] = sum;
    hi[i] = hi[i]! + high + (sum >= 2 ** 32 ? 1 : 0);
  }
}

/** The top `bytes` bytes of each fraction, big-endian. */
function writeFractions({ hi, lo }: Fractions, wire: Uint8Array, from: number, bytes: number): void {
  for (let i = 0, at = from; i < hi.length; i++) {
    for (let shift = 24; shift > 24 - 8 * Math.min(bytes, 4); shift -= 8) wire[at++] = hi[i]! >>> shift;
    for (let shift = 24; shift > 56 - 8 * bytes; shift -= 8) wire[at++] = lo[i]! >>> shift;
  }
}

/**
 * The ciphertext of words in two's complement, each within what a slot holds. `secret`: the key, in NTT form, uniform and for this one
 * ciphertext only. `seed`: 32 bytes, that of the public elements. `noiseKey`: 32 bytes that nobody else knows, for this one
 * ciphertext only. A function of its inputs.
 */
export function encrypt(
  ring: SealRing,
  plan: CipherPlan,
  inputs: {
    readonly words: Uint32Array;
    readonly secret: RingElement;
    readonly seed: Uint8Array;
    readonly noiseKey: Uint8Array;
  },
): Uint8Array {
  const { words, secret, seed, noiseKey } = inputs;
  invariant(fitSlots(words, plan), `words of ${plan.ringBits} bits`);
  const wire = new Uint8Array(ciphertextBytes(plan, words.length));
  const fillNoise = noiseSource(noiseKey, plan.floodBits);
  const noise = emptyNoise();
  const sample = zeroElement();
  const fractions = zeroFractions(DEGREE);
  ring.multiplyEach(seed, secret, polynomialsFor(plan, words.length), (index, product) => {
    fillNoise(noise);
    hidden(product, noise, sample);
    toFixed(sample, fractions);
    addHalfUnit(fractions, plan.bytes);
    // A plaintext has no bit below the last byte on the wire: rounding before or after it is the same.
    addPlaintexts(fractions, signedOf(words), index * wordsPerPolynomial(plan), plan);
    writeFractions(fractions, wire, index * DEGREE * plan.bytes, plan.bytes);
  });
  return wire;
}

/** A running sum of ciphertexts: as large for many as for one. */
export interface CiphertextSum extends Fractions {
  /** Ciphertexts in it. */
  added: number;
}

/** A sum of no ciphertext of so many words. */
export function emptySum(plan: CipherPlan, words: number): CiphertextSum {
  return { ...zeroFractions(polynomialsFor(plan, words) * DEGREE), added: 0 };
}

/**
 * Adds a ciphertext from the wire to a sum. False, and nothing is added, where its length is another; all bytes of the right
 * length are a ciphertext. At most `mostGroups` may be added, for which the plan was made.
 */
export function addCiphertext(
  sum: CiphertextSum,
  wire: Uint8Array,
  { bytes, mostGroups }: CipherPlan,
): boolean {
  const { hi, lo } = sum;
  if (wire.length !== hi.length * bytes) return false;
  invariant(sum.added < mostGroups, `a sum of at most ${mostGroups} ciphertexts`);
  sum.added++;
  for (let i = 0, at = 0; i < hi.length; i++) {
    let high = 0;
    let low = 0;
    for (let shift = 24; shift > 24 - 8 * Math.min(bytes, 4); shift -= 8) high |= wire[at++]! << shift;
    for (let shift = 24; shift > 56 - 8 * bytes; shift -= 8) low |= wire[at++]! << shift;
    const total = lo[i]! + (low >>> 0);
    lo[i] = total;
    hi[i] = hi[i]! + (high >>> 0) + (total >= 2 ** 32 ? 1 : 0);
  }
  return true;
}

/** A sum as a ciphertext is on the wire. Exact: what is added has no bit below the last byte. */
export function packSum(sum: CiphertextSum, { bytes }: CipherPlan): Uint8Array {
  const wire = new Uint8Array(sum.hi.length * bytes);
  writeFractions(sum, wire, 0, bytes);
  return wire;
}

/** The fractions of polynomial `index` of a sum, plus those of a product. */
function addPolynomial(fractions: Fractions, sum: Fractions, index: number): void {
  const from = index * DEGREE;
  for (let i = 0; i < DEGREE; i++) {
    const low = fractions.lo[i]! + sum.lo[from + i]!;
    fractions.lo[i] = low;
    fractions.hi[i] = fractions.hi[i]! + sum.hi[from + i]! + (low >= 2 ** 32 ? 1 : 0);
  }
}

/** Reads the first `count` polynomials of a sum into words. False where one is noise. */
function read(
  ring: SealRing,
  plan: CipherPlan,
  { sum, secretSum, seed }: OpenInputs,
  words: Uint32Array,
  count: number,
): boolean {
  const fractions = zeroFractions(DEGREE);
  let clear = true;
  ring.multiplyEach(seed, secretSum, count, (index, product) => {
    if (!clear) return;
    toFixed(product, fractions);
    addPolynomial(fractions, sum, index);
    clear = readPlaintexts(fractions, words, index * wordsPerPolynomial(plan), plan);
  });
  return clear;
}

/** `secretSum`: the sum of the keys of all ciphertexts in the sum, in NTT form. */
export interface OpenInputs {
  readonly sum: Fractions;
  readonly secretSum: RingElement;
  readonly seed: Uint8Array;
}

/**
 * Whether a key is that of a sum of ciphertexts, as far as the first polynomial tells. With a wrong key each of 4096 coefficients
 * looks right with a chance of 3/4. A sum of no words has every key.
 */
export function isKeyOf(ring: SealRing, plan: CipherPlan, inputs: OpenInputs): boolean {
  return read(ring, plan, inputs, new Uint32Array(0), Math.min(1, inputs.sum.hi.length / DEGREE));
}

/**
 * The `words` words of a sum of ciphertexts, in two's complement; null where the key is not that of the sum. Exact, as long as each
 * sum of words is within what a slot holds.
 */
export function open(
  ring: SealRing,
  plan: CipherPlan,
  inputs: OpenInputs & { readonly words: number },
): Uint32Array | null {
  const count = polynomialsFor(plan, inputs.words);
  invariant(inputs.sum.hi.length === count * DEGREE, `a sum of ${inputs.words} words`);
  if (!isKeyOf(ring, plan, inputs)) return null;
  const words = new Uint32Array(inputs.words);
  return read(ring, plan, inputs, words, count) ? words : null;
}
