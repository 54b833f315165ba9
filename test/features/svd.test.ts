import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { dot, norm, orthonormalise } from '../../src/features/lexical/orthonormal.ts';
import {
  multiply,
  multiplyTransposed,
  type SparseMatrix,
  sparseFrom,
} from '../../src/features/lexical/sparse.ts';
import { jacobiSvd, truncatedSvd } from '../../src/features/lexical/svd.ts';

/** A random sparse matrix in which column j is scaled by decay^j. */
function randomMatrix(rows: number, columns: number, seed: number, decay = 1): SparseMatrix {
  const random = randomStream(seed, 'svd-test');
  const cells = Array.from({ length: rows }, () =>
    Array.from({ length: columns }, (_, column): [number, number] => [
      column,
      random.normal() * decay ** column,
    ]).filter(() => random.uniform() < 0.6),
  );
  return sparseFrom(cells, columns);
}

/** Largest entry of A A^T u - s^2 u, relative to the largest s^2. */
function residual(matrix: SparseMatrix, u: Float64Array, s: number, largest: number): number {
  const image = multiply(matrix, multiplyTransposed(matrix, u));
  return Math.max(...image.map((value, i) => Math.abs(value - s * s * u[i]!))) / largest ** 2;
}

describe('truncatedSvd', () => {
  test('is exact where the components reach the smaller side', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(),
        (rows, columns, seed) => {
          const matrix = randomMatrix(rows, columns, seed);
          const { singularValues, left } = truncatedSvd(matrix, 9, 0);
          const squares = matrix.values.reduce((sum, value) => sum + value * value, 0);
          expect(singularValues.reduce((sum, s) => sum + s * s, 0)).toBeCloseTo(squares, 8);
          expect([...singularValues].sort((a, b) => b - a)).toEqual(singularValues);
          for (const [i, u] of left.entries()) {
            expect(residual(matrix, u, singularValues[i]!, singularValues[0]!)).toBeLessThan(1e-10);
            for (const [j, v] of left.entries()) expect(dot(u, v)).toBeCloseTo(Number(i === j), 8);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test('a diagonal matrix by hand', () => {
    const { singularValues, left } = truncatedSvd(sparseFrom([[[0, 3]], [[1, -7]], [[2, 5]]], 3), 2, 0);
    expect(singularValues).toEqual([expect.closeTo(7, 12), expect.closeTo(5, 12)]);
    expect(left.map((vector) => [...vector].map((value) => Math.round(value * 1e12) / 1e12 + 0))).toEqual([
      [0, 1, 0],
      [0, 0, 1],
    ]);
  });

  test('finds the leading part of a larger matrix, whatever the seed', () => {
    const matrix = randomMatrix(120, 80, 4, 0.9);
    const exact = truncatedSvd(matrix, 80, 0);
    for (const seed of [0, 1, 2]) {
      const { singularValues, left } = truncatedSvd(matrix, 8, seed);
      expect(singularValues).toHaveLength(8);
      for (const [i, value] of singularValues.entries()) {
        expect(value).toBeCloseTo(exact.singularValues[i]!, 6);
        for (const [row, entry] of left[i]!.entries()) expect(entry).toBeCloseTo(exact.left[i]![row]!, 4);
      }
    }
  });

  test('rank below the components: fewer triples, no noise', () => {
    const rows = Array.from({ length: 6 }, (_, i): [number, number][] => [
      [0, i + 1],
      [1, 2 * (i + 1)],
      [2, i % 2],
    ]);
    expect(truncatedSvd(sparseFrom(rows, 3), 5, 0).singularValues).toHaveLength(2);
    expect(truncatedSvd(sparseFrom([[], []], 4), 3, 0)).toEqual({ singularValues: [], left: [] });
    expect(truncatedSvd(sparseFrom([], 0), 3, 0)).toEqual({ singularValues: [], left: [] });
  });

  test('the sign is fixed: the entry of largest magnitude is positive', () => {
    for (const vector of truncatedSvd(randomMatrix(20, 15, 9), 6, 0).left) {
      const largest = Math.max(...vector.map(Math.abs));
      expect(Math.max(...vector)).toBe(largest);
    }
  });
});

describe('orthonormalise', () => {
  test('Q R gives back the columns, and dependent columns add nothing', () => {
    const a = Float64Array.of(1, 2, 3, 4);
    const b = Float64Array.of(0, 1, 0, 1);
    const sum = a.map((value, i) => value + b[i]!);
    const { basis, coefficients } = orthonormalise([a, b, sum, new Float64Array(4)]);
    expect(basis).toHaveLength(2);
    for (const [i, column] of [a, b, sum].entries()) {
      const rebuilt = column.map((_, row) =>
        basis.reduce((t, q, k) => t + q[row]! * coefficients[i]![k]!, 0),
      );
      for (const [row, value] of column.entries()) expect(rebuilt[row]).toBeCloseTo(value, 12);
    }
  });

  test('stays orthonormal for nearly parallel columns', () => {
    const a = Float64Array.of(1, 1, 1, 1);
    const near = [1e-7, 2e-7].map((epsilon, k) => a.map((value, i) => value + (i === k ? epsilon : 0)));
    const { basis } = orthonormalise([a, ...near]);
    expect(basis).toHaveLength(3);
    for (const [i, u] of basis.entries()) {
      for (const [j, v] of basis.entries()) expect(dot(u, v)).toBeCloseTo(Number(i === j), 12);
    }
  });
});

test('jacobiSvd is accurate for small singular values too', () => {
  const { values, right } = jacobiSvd([Float64Array.of(1, 0), Float64Array.of(1, 1e-9)]);
  // The product of the singular values is the determinant, the sum of squares is that of the entries.
  expect((values[0]! * values[1]!) / 1e-9).toBeCloseTo(1, 12);
  expect(values[0]! ** 2 + values[1]! ** 2).toBeCloseTo(2, 12);
  expect(right.map(norm)).toEqual([expect.closeTo(1, 12), expect.closeTo(1, 12)]);
});
