import { createHash } from 'node:crypto';
import {
  addCiphertext,
  type CiphertextSum,
  emptySum,
  encrypt,
} from '../../../src/privacy/seal/ciphertext.ts';
import { type CipherPlan, cipherPlan } from '../../../src/privacy/seal/plan.ts';
import {
  addInto,
  DEGREE,
  MODULUS,
  PRIMES,
  type RingElement,
  zeroElement,
} from '../../../src/privacy/seal/ring.ts';
import { uniformElement } from '../../../src/privacy/seal/sample.ts';
import type { SealRing } from '../../../src/privacy/seal/seal-ring.ts';

/** A key of 32 bytes, the same in each run of the tests. */
export function keyOf(...name: readonly (string | number)[]): Uint8Array {
  return new Uint8Array(createHash('sha256').update(name.join('/')).digest());
}

/** Equality of long arrays; `toEqual` takes its time over each number. */
export function same(a: Uint32Array | Uint8Array, b: Uint32Array | Uint8Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

export function planFor(ringBits: number, mostGroups: number): CipherPlan {
  const plan = cipherPlan({ ringBits, mostGroups });
  if (plan === null) throw new Error('no plan');
  return plan;
}

/** Uniform numbers in 0..2^32-1 of a name. */
export function numbersOf(name: string, count: number): Uint32Array {
  const bytes = createHash('shake256', { outputLength: 4 * count })
    .update(name)
    .digest();
  return new Uint32Array(new Uint8Array(bytes).buffer);
}

/** Signed numbers as words in two's complement. */
export function wordsFrom(numbers: Iterable<number>): Uint32Array {
  return new Uint32Array(Int32Array.from(numbers).buffer);
}

export const SEED = keyOf('seed');

/** Encrypts each vector with a key of its own, and adds ciphertexts and keys. */
export function sumOf(
  ring: SealRing,
  plan: CipherPlan,
  vectors: readonly Uint32Array[],
  name = 'sum',
): { sum: CiphertextSum; secretSum: RingElement } {
  const sum = emptySum(plan, vectors[0]!.length);
  const secretSum = zeroElement();
  for (const [group, words] of vectors.entries()) {
    const secret = uniformElement(keyOf(name, group, 'secret'));
    const wire = encrypt(ring, plan, { words, secret, seed: SEED, noiseKey: keyOf(name, group, 'noise') });
    if (!addCiphertext(sum, wire, plan)) throw new Error('a ciphertext of another length');
    addInto(secretSum, secret);
  }
  return { sum, secretSum };
}

/** base^exponent modulo a prime, in whole numbers. */
function powerOf(base: bigint, exponent: bigint, prime: bigint): bigint {
  if (exponent === 0n) return 1n;
  const half = powerOf(base, exponent / 2n, prime);
  return (half * half * (exponent % 2n === 1n ? base : 1n)) % prime;
}

/** Coefficients 0..q-1 of an element, by Chinese remainders in whole numbers. */
export function coefficientsOf(element: RingElement): bigint[] {
  const bases = PRIMES.map(BigInt).map((prime) => {
    const cofactor = MODULUS / prime;
    return cofactor * powerOf(cofactor % prime, prime - 2n, prime);
  });
  return Array.from(
    { length: DEGREE },
    (_, i) => bases.reduce((sum, basis, j) => sum + basis * BigInt(element[j * DEGREE + i]!), 0n) % MODULUS,
  );
}
