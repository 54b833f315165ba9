import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fillExactNormal } from '../../src/core/exact-normal.ts';
import { haarOrthogonal, turnAxis } from '../../src/core/orthogonal.ts';
import { randomStream } from '../../src/core/random.ts';

const DRAWN = 40_000;

describe('normal deviates of exact operations', () => {
  const values = new Float64Array(DRAWN);
  fillExactNormal(values, randomStream(1, 'normal').uniform);
  const mean = (of: (value: number, index: number) => number) =>
    values.reduce((sum, value, index) => sum + of(value, index), 0) / DRAWN;

  // Five standard deviations of each mean.
  test('have the moments of the normal distribution', () => {
    const within = (found: number, expected: number, deviation: number) =>
      expect(Math.abs(found - expected)).toBeLessThan((5 * deviation) / Math.sqrt(DRAWN));
    within(
      mean((v) => v),
      0,
      1,
    );
    within(
      mean((v) => v ** 2),
      1,
      Math.sqrt(2),
    );
    within(
      mean((v) => v ** 3),
      0,
      Math.sqrt(15),
    );
    within(
      mean((v) => v ** 4),
      3,
      Math.sqrt(96),
    );
    within(
      mean((v) => Number(Math.abs(v) > 2)),
      0.0455,
      0.2084,
    );
    within(
      mean((v, i) => (i % 2 === 0 ? 2 * v * values[i + 1]! : 0)),
      0,
      Math.sqrt(2),
    );
    within(
      mean((v, i) => (i % 2 === 0 ? 2 * v ** 2 * values[i + 1]! ** 2 : 0)),
      1,
      4,
    );
  });

  test('an odd number of them is filled to the end', () => {
    const odd = new Float64Array(5);
    fillExactNormal(odd, randomStream(1, 'normal').uniform);
    expect([...odd]).toEqual([...values.subarray(0, 5)]);
  });
});

const uniformOf = (seed: number) => randomStream(seed, 'haar').uniform;

/** Largest deviation of M M^T from the identity. */
function defect(matrix: Float64Array, size: number): number {
  let worst = 0;
  for (let a = 0; a < size; a++) {
    for (let b = 0; b <= a; b++) {
      let product = 0;
      for (let i = 0; i < size; i++) product += matrix[a * size + i]! * matrix[b * size + i]!;
      worst = Math.max(worst, Math.abs(product - Number(a === b)));
    }
  }
  return worst;
}

describe('rotations', () => {
  test('are orthogonal to 1e-12', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 48 }), (seed, size) => {
        expect(defect(haarOrthogonal(size, uniformOf(seed)), size)).toBeLessThan(1e-12);
      }),
      { numRuns: 50 },
    );
    expect(defect(haarOrthogonal(128, uniformOf(1)), 128)).toBeLessThan(1e-12);
  });

  // Of a uniform rotation E[trace] = 0 and E[trace^2] = 1; without the positive diagonal, or with rows of uniform draws, they are not.
  test('are uniform: traces and entries have the moments of Haar’s measure', () => {
    const [size, count] = [4, 4000];
    const drawn = Array.from({ length: count }, (_, seed) => haarOrthogonal(size, uniformOf(seed)));
    const mean = (of: (matrix: Float64Array) => number) =>
      drawn.reduce((sum, matrix) => sum + of(matrix), 0) / count;
    const trace = (m: Float64Array) => m[0]! + m[5]! + m[10]! + m[15]!;
    expect(Math.abs(mean(trace))).toBeLessThan(5 / Math.sqrt(count));
    expect(Math.abs(mean((m) => trace(m) ** 2) - 1)).toBeLessThan((5 * Math.SQRT2) / Math.sqrt(count));
    for (let i = 0; i < 16; i++) {
      expect(Math.abs(mean((m) => m[i]!))).toBeLessThan(5 / 2 / Math.sqrt(count));
      // E[o^4] = 3 / (n (n + 2)); o^4 has a deviation below 0.2.
      expect(Math.abs(mean((m) => m[i]! ** 4) - 3 / 24)).toBeLessThan((5 * 0.2) / Math.sqrt(count));
    }
  });
});

describe('turning an axis', () => {
  const matrices = fc.record({
    seed: fc.integer(),
    rows: fc.integer({ min: 1, max: 6 }),
    shared: fc.integer({ min: 1, max: 6 }),
    columns: fc.integer({ min: 1, max: 6 }),
  });

  function product(a: Float64Array, b: Float64Array, rows: number, shared: number, columns: number) {
    return Float64Array.from({ length: rows * columns }, (_, i) => {
      let sum = 0;
      for (let k = 0; k < shared; k++) {
        sum += a[Math.floor(i / columns) * shared + k]! * b[k * columns + (i % columns)]!;
      }
      return sum;
    });
  }

  test('on the last axis is M T, and turning both factors leaves their product', () => {
    fc.assert(
      fc.property(matrices, ({ seed, rows, shared, columns }) => {
        const random = randomStream(seed, 'factors');
        const a = Float64Array.from({ length: rows * shared }, () => random.normal());
        const b = Float64Array.from({ length: shared * columns }, () => random.normal());
        const turn = haarOrthogonal(shared, uniformOf(seed));
        const [turnedA, turnedB] = [a.slice(), b.slice()];
        turnAxis(turnedA, [rows, shared], 1, turn);
        turnAxis(turnedB, [shared, columns], 0, turn);
        const close = (found: Float64Array, expected: Float64Array) => {
          for (const [i, value] of found.entries())
            expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-12);
        };
        close(turnedA, product(a, turn, rows, shared, shared));
        close(product(turnedA, turnedB, rows, shared, columns), product(a, b, rows, shared, columns));
      }),
    );
  });
});
