import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toFixed, zeroFractions } from '../../../src/privacy/seal/fixed.ts';
import { DEGREE, MODULUS, PRIMES, RESIDUES, zeroElement } from '../../../src/privacy/seal/ring.ts';
import { uniformElement } from '../../../src/privacy/seal/sample.ts';
import { coefficientsOf, keyOf } from './helpers.ts';

const CIRCLE = 2n ** 64n;

/** An element with these coefficients, 0..q-1, and zeros behind them. */
function elementOf(coefficients: readonly bigint[]): Uint32Array {
  const element = zeroElement();
  for (const [j, prime] of PRIMES.entries())
    coefficients.forEach((coefficient, i) => {
      element[j * DEGREE + i] = Number(coefficient % BigInt(prime));
    });
  return element;
}

function fixedOf(element: Uint32Array): bigint[] {
  const fractions = zeroFractions(DEGREE);
  toFixed(element, fractions);
  return Array.from(fractions.hi, (hi, i) => (BigInt(hi) << 32n) + BigInt(fractions.lo[i]!));
}

/** How far x / q in 64 bits is above what was computed, in units of 2^-64, on the circle. */
function below(x: bigint, computed: bigint): bigint {
  return BigInt.asIntN(64, (x * CIRCLE) / MODULUS - computed);
}

const coefficients = fc.oneof(
  fc.bigInt({ min: 0n, max: MODULUS - 1n }),
  fc.bigInt({ min: 0n, max: 2n ** 60n }),
  fc.bigInt({ min: MODULUS - 2n ** 60n, max: MODULUS - 1n }),
  // Beside multiples of q / 16, where carries run through all digits.
  fc
    .tuple(fc.bigInt({ min: 1n, max: 15n }), fc.bigInt({ min: -(2n ** 46n), max: 2n ** 46n }))
    .map(([sixteenths, beside]) => (sixteenths * MODULUS) / 16n + beside),
);

test('is x / q in 64 bits, rounded down, or one less where a carry is lost', () => {
  fc.assert(
    fc.property(fc.array(coefficients, { minLength: 1, maxLength: 50 }), (xs) => {
      const computed = fixedOf(elementOf(xs));
      xs.forEach((x, i) => {
        expect([0n, 1n]).toContain(below(x, computed[i]!));
      });
      expect(computed.slice(xs.length).every((fraction) => fraction === 0n)).toBe(true);
    }),
    { numRuns: 150 },
  );
});

test('a lost carry is as rare as the digits say: 5 * 2^-14 at most', () => {
  const element = uniformElement(keyOf('carries'));
  const computed = fixedOf(element);
  let lost = 0n;
  for (const [i, x] of coefficientsOf(element).entries()) {
    const missing = below(x, computed[i]!);
    expect([0n, 1n]).toContain(missing);
    lost += missing;
  }
  // 1.25 are expected at most.
  expect(lost).toBeLessThan(8n);
});

test('zero, one, the half and the last', () => {
  const xs = [0n, 1n, MODULUS / 2n, MODULUS / 2n + 1n, MODULUS - 1n];
  const computed = fixedOf(elementOf(xs));
  expect(computed[0]).toBe(0n);
  expect([0n, CIRCLE - 1n]).toContain(computed[1]);
  expect([CIRCLE / 2n - 1n, CIRCLE / 2n - 2n]).toContain(computed[2]);
  expect([CIRCLE / 2n, CIRCLE / 2n - 1n]).toContain(computed[3]);
  expect([CIRCLE - 1n, CIRCLE - 2n]).toContain(computed[4]);
});

test('only elements, into as many fractions', () => {
  expect(() => toFixed(new Uint32Array(RESIDUES - 1), zeroFractions(DEGREE))).toThrow('invariant broken');
  expect(() => toFixed(zeroElement(), zeroFractions(DEGREE - 1))).toThrow('invariant broken');
});
