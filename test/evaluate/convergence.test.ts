import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { convergenceIndex, smoothed } from '../../src/evaluate/convergence.ts';

const RAW = { window: 1 };

describe('convergenceIndex', () => {
  test('finds the first point past 95% of the final improvement', () => {
    const loss = [10, 5, 1, 0.51, 0.5, 0.2, 0];
    expect(convergenceIndex(loss, { direction: 'down', ...RAW })).toBe(4);
    expect(convergenceIndex(loss, { direction: 'down', ...RAW, share: 0.5 })).toBe(1);
  });

  test('an alignment that goes up is the same curve upside down', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1 }), (values) => {
        const up = values.map((value) => -value);
        expect(convergenceIndex(up, { direction: 'up' })).toBe(
          convergenceIndex(values, { direction: 'down' }),
        );
      }),
    );
  });

  test('is null where nothing improved', () => {
    for (const values of [[], [1], [1, 1, 1], [1, 2, 3]]) {
      expect(convergenceIndex(values, { direction: 'down' })).toBeNull();
    }
  });

  test('is a point of the curve whenever the smoothed curve improved', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 2 }), (values) => {
        const curve = smoothed(values, 5);
        const index = convergenceIndex(values, { direction: 'down' });
        if (curve.at(-1)! < curve[0]!) expect(index).toBeGreaterThan(0);
        else expect(index).toBeNull();
      }),
    );
  });

  test('one lucky point does not count as converged', () => {
    const loss = [10, 9, 8, 0, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0];
    expect(convergenceIndex(loss, { direction: 'down', ...RAW })).toBe(3);
    expect(convergenceIndex(loss, { direction: 'down' })).toBeGreaterThan(8);
  });

  test('a diverged curve is an error that names the point', () => {
    expect(() => convergenceIndex([3, Number.NaN], { direction: 'down' })).toThrowError(
      expect.objectContaining({ code: 'NOT_FINITE', message: expect.stringContaining('point 1') }),
    );
  });
});

test('smoothing keeps a straight line straight inside and averages fewer points at the ends', () => {
  expect(smoothed([0, 1, 2, 3, 4, 5], 3)).toEqual([0.5, 1, 2, 3, 4, 4.5]);
});
