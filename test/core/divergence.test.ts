import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkShares, jensenShannonDivergence } from '../../src/core/divergence.ts';
import { twoShares } from '../support/arbitrary-shares.ts';

describe('jensenShannonDivergence', () => {
  test('is within [0, ln 2] and symmetric to the last bit', () => {
    fc.assert(
      fc.property(twoShares, ([p, q]) => {
        const divergence = jensenShannonDivergence(p, q);
        expect(divergence).toBeGreaterThanOrEqual(0);
        expect(divergence).toBeLessThanOrEqual(Math.LN2);
        expect(jensenShannonDivergence(q, p)).toBe(divergence);
      }),
    );
  });

  test('does not see the rounding of float32', () => {
    const shares = Float64Array.from([0.1, 0.2, 0.7]);
    expect(jensenShannonDivergence(Float32Array.from(shares), shares)).toBeLessThan(1e-14);
  });

  test('refuses distributions over different numbers of options', () => {
    expect(() => jensenShannonDivergence([1], [0.5, 0.5])).toThrowError(
      expect.objectContaining({ code: 'INTERNAL' }),
    );
  });
});

describe('checkShares', () => {
  test.each([
    ['a NaN', [Number.NaN, 1]],
    ['an infinity', [Number.POSITIVE_INFINITY, 0]],
    ['a negative share', [-0.1, 1.1]],
    ['a sum below 1', [0.4, 0.5]],
    ['a sum above 1', [0.6, 0.5]],
    ['all zeros', [0, 0]],
    ['nothing', []],
  ])('refuses %s and says where', (_, shares) => {
    expect(() => checkShares(shares, 'the answer of Kenya')).toThrowError(
      expect.objectContaining({
        code: 'NOT_FINITE',
        message: expect.stringContaining('the answer of Kenya'),
      }),
    );
  });

  test('returns the sum of what it accepts', () => {
    expect(checkShares([0.25, 0.75], 'x')).toBe(1);
  });
});
