import { invariant } from '../../core/errors.ts';
import { derivedKey, keystream } from './keystream.ts';
import { DEGREE, PRIMES, type RingElement, zeroElement } from './ring.ts';

/** The bits that a candidate below 2^bits >= prime can have. */
function maskOf(prime: number): number {
  return (1 << (32 - Math.clz32(prime))) - 1;
}

/**
 * A uniform element from a key of 32 bytes: candidates of 22 bits (21 for the last prime), of which those below their prime
 * count; 97 of 100 do, or more. Uniform in one form is uniform in the other: the transform is a bijection.
 */
export function uniformElement(key: Uint8Array): RingElement {
  const next = keystream(key);
  const element = zeroElement();
  let piece = next();
  let cursor = 0;
  for (const [j, prime] of PRIMES.entries()) {
    const mask = maskOf(prime);
    for (let at = j * DEGREE; at < (j + 1) * DEGREE; ) {
      if (cursor === piece.length) {
        piece = next();
        cursor = 0;
      }
      const candidate = piece[cursor++]! & mask;
      if (candidate < prime) element[at++] = candidate;
    }
  }
  return element;
}

/** The public elements a_0, a_1, ... of a seed of 32 bytes, in NTT form. The same for everybody who knows the seed. */
export function publicElements(seed: Uint8Array): (index: number) => RingElement {
  return (index) => uniformElement(derivedKey('public element', seed, index));
}

/** Bits set of each of two halves whose difference is one centred binomial number. SEAL's own noise takes 21. */
export const BINOMIAL_BITS = 21;
const BINOMIAL_MASK = (1 << BINOMIAL_BITS) - 1;

/** Where the two parts of a noise number meet. */
export const LOW_BITS = 26;
/** So that the high part fits in 32 bits, and less than 2^50 comes out where it is multiplied with a residue: see `ciphertext.ts`. */
export const MOST_FLOOD_BITS = 53;

/** Noise of 4096 coefficients: number i is high[i] * 2^26 + low[i], and low[i] lies in -21..2^26+20. */
export interface Noise {
  readonly high: Int32Array;
  readonly low: Int32Array;
}

export function emptyNoise(): Noise {
  return { high: new Int32Array(DEGREE), low: new Int32Array(DEGREE) };
}

/** Bits set in a word (Warren, "Hacker's delight", section 5-1). */
function bitsSet(word: number): number {
  let count = word - ((word >>> 1) & 0x55555555);
  count = (count & 0x33333333) + ((count >>> 2) & 0x33333333);
  count = (count + (count >>> 4)) & 0x0f0f0f0f;
  return Math.imul(count, 0x01010101) >>> 24;
}

/** Coefficients `at`.. from one piece of keystream, four words each. */
function fillFrom(piece: Uint32Array, floodBits: number, noise: Noise, at: number): void {
  const highBits = floodBits + 1 - LOW_BITS;
  const lowest = 2 ** (highBits - 1);
  for (let from = 0, i = at; from < piece.length; from += 4, i++) {
    const plus = bitsSet(piece[from]! & BINOMIAL_MASK);
    const minus = bitsSet(piece[from + 1]! & BINOMIAL_MASK);
    noise.high[i] = (piece[from + 2]! >>> (32 - highBits)) - lowest;
    noise.low[i] = (piece[from + 3]! >>> (32 - LOW_BITS)) + plus - minus;
  }
}

/**
 * A source of noise x + f from a key of 32 bytes; each call fills in the next 4096 numbers. x is centred binomial, the
 * difference of the bits set in two times 21 (deviation sqrt(21/2) = 3.24, as SEAL's own noise). f is the flooding noise,
 * uniform in -2^floodBits..2^floodBits-1.
 */
export function noiseSource(key: Uint8Array, floodBits: number): (noise: Noise) => void {
  invariant(
    Number.isInteger(floodBits) && floodBits >= LOW_BITS && floodBits <= MOST_FLOOD_BITS,
    `flooding noise of ${floodBits} bits`,
  );
  const next = keystream(key);
  return (noise) => {
    for (let at = 0; at < DEGREE; ) {
      const piece = next();
      fillFrom(piece, floodBits, noise, at);
      at += piece.length / 4;
    }
  };
}
