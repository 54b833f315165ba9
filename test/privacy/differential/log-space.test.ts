import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  log1pExp,
  logAdd,
  logErfc,
  logExpm1,
  logSubtract,
} from '../../../src/privacy/differential/log-space.ts';

const exponent = fc.double({ min: -30, max: 30, noNaN: true });

describe('logErfc', () => {
  // mpmath 1.3.0, log(erfc(x)) at 40 digits.
  test.each([
    [-1.5, 0.6760545027339606],
    [-1, 0.6112323176780705],
    [-0.3, 0.28414589714140825],
    [0.1, -0.11930497373739561],
    [0.5, -0.7350111298370844],
    [1, -1.8496055099332482],
    [1.9, -4.932345862780269],
    [2, -5.364941264616638],
    [2.1, -5.816010968867555],
    [3, -10.720363041981113],
    [27, -732.8688865078974],
    [100, -10005.177585122665],
    [1e6, -1000000000014.3879],
  ])('of %d', (x, expected) => {
    expect(Math.abs(logErfc(x) / expected - 1)).toBeLessThan(1e-13);
  });

  test('is 0 at 0 and joins its two formulas without a step', () => {
    expect(Math.abs(logErfc(0))).toBe(0);
    const slope = (logErfc(2 + 1e-7) - logErfc(2 - 1e-7)) / 2e-7;
    // -2 / sqrt(pi) e^-4 / erfc(2).
    expect(slope).toBeCloseTo(-4.4182, 3);
  });
});

describe('sums and differences', () => {
  test('are those of the exponentials', () => {
    fc.assert(
      fc.property(exponent, exponent, (a, b) => {
        expect(Math.exp(logAdd(a, b)) / (Math.exp(a) + Math.exp(b))).toBeCloseTo(1, 12);
        expect(Math.exp(logSubtract(logAdd(a, b), b) - a)).toBeCloseTo(1, a < b - 15 ? -1 : 6);
      }),
    );
  });

  test('have e^-Infinity = 0 as neutral element, and no difference below 0', () => {
    expect(logAdd(Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY)).toBe(Number.NEGATIVE_INFINITY);
    expect(logAdd(3, Number.NEGATIVE_INFINITY)).toBe(3);
    expect(logSubtract(3, Number.NEGATIVE_INFINITY)).toBe(3);
    expect(logSubtract(3, 3)).toBe(Number.NEGATIVE_INFINITY);
    expect(logSubtract(3, 4)).toBe(Number.NEGATIVE_INFINITY);
  });

  test('keep their digits at both ends', () => {
    expect(logExpm1(1e-20)).toBeCloseTo(Math.log(1e-20), 12);
    expect(logExpm1(5000)).toBe(5000);
    expect(log1pExp(5000)).toBe(5000);
    expect(log1pExp(-50) / Math.exp(-50)).toBeCloseTo(1, 12);
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 700, noNaN: true }), (x) => {
        expect(log1pExp(logExpm1(x)) / x).toBeCloseTo(1, 9);
      }),
    );
  });
});
