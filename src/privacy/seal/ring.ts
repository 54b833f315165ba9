import { invariant } from '../../core/errors.ts';
import { packedBytes, packWords, unpackWords } from '../secure-sum/packing.ts';

/**
 * The ring R_q = Z_q[X] / (X^4096 + 1), q the product of five primes. An element is kept as its residues modulo each prime
 * (Chinese remainders), either as coefficients or as values at the 4096 roots of X^4096 + 1 ("NTT form", which SEAL computes).
 */

export const DEGREE = 4096;

/**
 * What SEAL's CoeffModulus.Create(4096, [22, 22, 22, 22, 21]) gives: each is 1 modulo 8192, so that all roots exist. Below
 * 2^22, so that a product of two residues is exact in a double.
 */
export const PRIMES = [4079617, 4104193, 4120577, 4169729, 2056193] as const;

/** Bits of the largest residue. */
const RESIDUE_BITS = 22;

export const RESIDUES = PRIMES.length * DEGREE;

/** q itself. */
export const MODULUS = PRIMES.reduce((product, prime) => product * BigInt(prime), 1n);

/** log2 q, 108.9. */
export const MODULUS_BITS = PRIMES.reduce((bits, prime) => bits + Math.log2(prime), 0);

/** RESIDUES numbers: all 4096 modulo the first prime, then all modulo the second, and so on. */
export type RingElement = Uint32Array;

export function zeroElement(): RingElement {
  return new Uint32Array(RESIDUES);
}

/** Adds an element to a sum, in place. Both in the same form. */
export function addInto(sum: RingElement, element: RingElement): void {
  invariant(sum.length === RESIDUES && element.length === RESIDUES, 'elements of the ring');
  for (const [j, prime] of PRIMES.entries())
    for (let at = j * DEGREE; at < (j + 1) * DEGREE; at++) {
      const total = sum[at]! + element[at]!;
      sum[at] = total >= prime ? total - prime : total;
    }
}

/** Whether these numbers are an element: as many as there must be, each below its prime. */
export function isElement(residues: Uint32Array): boolean {
  if (residues.length !== RESIDUES) return false;
  return PRIMES.every((prime, j) => {
    for (let at = j * DEGREE; at < (j + 1) * DEGREE; at++) if (residues[at]! >= prime) return false;
    return true;
  });
}

/** Bytes of a packed element. */
export const ELEMENT_BYTES = packedBytes(RESIDUES, RESIDUE_BITS);

/** An element as ELEMENT_BYTES bytes, 22 bits a residue. */
export function packElement(element: RingElement): Uint8Array {
  invariant(isElement(element), 'an element of the ring');
  return packWords(element, RESIDUE_BITS);
}

/** The element that `packElement` packed to these bytes; null where there is none. An element has one encoding. */
export function unpackElement(bytes: Uint8Array): RingElement | null {
  const residues = unpackWords(bytes, RESIDUES, RESIDUE_BITS);
  return residues !== null && isElement(residues) ? residues : null;
}
