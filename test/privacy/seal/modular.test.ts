import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inverseOf, power, reduce } from '../../../src/privacy/seal/modular.ts';
import { PRIMES } from '../../../src/privacy/seal/ring.ts';

const primes = fc.constantFrom(...PRIMES);
const LIMIT = 2 ** 50;

/** Remainder in 0..prime-1, in whole numbers. */
function remainder(value: number, prime: number): number {
  const rest = BigInt(value) % BigInt(prime);
  return Number(rest < 0n ? rest + BigInt(prime) : rest);
}

test('remainders are exact up to 2^50, of either sign', () => {
  fc.assert(
    fc.property(fc.integer({ min: -LIMIT, max: LIMIT }), primes, (value, prime) => {
      expect(reduce(value, prime, 1 / prime)).toBe(remainder(value, prime));
    }),
    { numRuns: 2000 },
  );
});

test('also at and beside multiples of the prime, where a quotient is nearly rounded wrongly', () => {
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 28), max: 2 ** 28 }), primes, (quotient, prime) => {
      for (const beside of [-1, 0, 1]) {
        const value = quotient * prime + beside;
        if (Math.abs(value) <= LIMIT) expect(reduce(value, prime, 1 / prime)).toBe(remainder(value, prime));
      }
    }),
    { numRuns: 1000 },
  );
  for (const prime of PRIMES) {
    const most = Math.floor(LIMIT / prime);
    const wrong: number[] = [];
    for (let quotient = most - 20000; quotient < most; quotient++)
      for (const multiple of [quotient * prime, -quotient * prime]) {
        if (reduce(multiple, prime, 1 / prime) !== 0) wrong.push(multiple);
        if (reduce(multiple - 1, prime, 1 / prime) !== prime - 1) wrong.push(multiple - 1);
        if (reduce(multiple + 1, prime, 1 / prime) !== 1) wrong.push(multiple + 1);
      }
    expect(wrong).toEqual([]);
  }
});

test('powers and inverses', () => {
  expect(power(3, 13, PRIMES[0])).toBe(3 ** 13 % PRIMES[0]);
  expect(inverseOf(0, PRIMES[0])).toBe(0);
  fc.assert(
    fc.property(primes, fc.integer({ min: 1, max: PRIMES[4] - 1 }), (prime, value) => {
      const inverse = inverseOf(value, prime);
      expect(inverse).toBeLessThan(prime);
      expect((BigInt(value) * BigInt(inverse)) % BigInt(prime)).toBe(1n);
    }),
  );
});
