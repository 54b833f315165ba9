import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALIGNMENT_FLOOR, alignmentScore, jensenShannonDistance } from '../../src/evaluate/alignment.ts';
import { sharesOf, twoShares } from '../support/arbitrary-shares.ts';

test('by hand: one certain option against two equal ones has divergence 3/4 ln(4/3)', () => {
  const natural = Math.sqrt(0.75 * Math.log(4 / 3));
  expect(jensenShannonDistance([1, 0], [0.5, 0.5], { base: 'e' })).toBeCloseTo(natural, 14);
});

describe('jensenShannonDistance', () => {
  // Figures of scipy.spatial.distance.jensenshannon(p, q) and jensenshannon(p, q, 2).
  test.each([
    { p: [1, 0], q: [0.5, 0.5], natural: 0.464501404022459, base2: 0.5579230452841438 },
    { p: [0.2, 0.3, 0.5], q: [0.5, 0.3, 0.2], natural: 0.25770974832606103, base2: 0.3095409536771482 },
    { p: [0.1, 0, 0.9], q: [0.7, 0.3, 0], natural: 0.7365046612597713, base2: 0.8846322528147847 },
  ])('$p against $q', ({ p, q, natural, base2 }) => {
    expect(jensenShannonDistance(p, q, { base: 'e' })).toBeCloseTo(natural, 10);
    expect(jensenShannonDistance(p, q, { base: 2 })).toBeCloseTo(base2, 10);
  });

  test('base 2: symmetric, within [0, 1], 0 only for equal distributions', () => {
    fc.assert(
      fc.property(twoShares, ([p, q]) => {
        const distance = jensenShannonDistance(p, q, { base: 2 });
        expect(distance).toBeGreaterThanOrEqual(0);
        expect(distance).toBeLessThanOrEqual(1);
        expect(jensenShannonDistance(q, p, { base: 2 })).toBe(distance);
        const apart = p.some((share, option) => Math.abs(share - q[option]!) > 1e-6);
        if (apart) expect(distance).toBeGreaterThan(0);
      }),
    );
  });

  test('the triangle inequality holds', () => {
    fc.assert(
      fc.property(fc.tuple(sharesOf(4), sharesOf(4), sharesOf(4)), ([p, q, r]) => {
        const between = (a: Float64Array, b: Float64Array) => jensenShannonDistance(a, b, { base: 'e' });
        expect(between(p, r)).toBeLessThanOrEqual(between(p, q) + between(q, r) + 1e-9);
      }),
    );
  });
});

describe('alignmentScore', () => {
  test('is 1 for a perfect prediction', () => {
    fc.assert(
      fc.property(sharesOf(5), (p) => {
        expect(alignmentScore(p, p)).toBe(1);
      }),
    );
  });

  test('is at least 1 - sqrt(ln 2), reached where no option is shared', () => {
    expect(alignmentScore([1, 0, 0], [0, 0.5, 0.5])).toBeCloseTo(ALIGNMENT_FLOOR, 15);
    fc.assert(
      fc.property(twoShares, ([p, q]) => {
        expect(alignmentScore(p, q)).toBeGreaterThanOrEqual(ALIGNMENT_FLOOR);
      }),
    );
  });

  test.each([[[Number.NaN, Number.NaN]], [[0, 0]], [[2, -1]], [[0.5, 0.4]]])(
    'refuses %j as prediction and as truth',
    (broken) => {
      const refusal = expect.objectContaining({ code: 'NOT_FINITE' });
      expect(() => alignmentScore(broken, [0.5, 0.5])).toThrowError(refusal);
      expect(() => alignmentScore([0.5, 0.5], broken)).toThrowError(refusal);
    },
  );
});
