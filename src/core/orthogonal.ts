import { fillExactNormal, type Uniform } from './exact-normal.ts';

/** Takes what row `index` has in common with the rows above it off that row: rows above are orthonormal. */
function takeOffRowsAbove(matrix: Float64Array, size: number, index: number): void {
  const row = matrix.subarray(index * size, (index + 1) * size);
  for (let above = 0; above < index; above++) {
    const start = above * size;
    let common = 0;
    for (let i = 0; i < size; i++) common += matrix[start + i]! * row[i]!;
    for (let i = 0; i < size; i++) row[i]! -= common * matrix[start + i]!;
  }
}

function normalise(row: Float64Array): void {
  let squared = 0;
  for (let i = 0; i < row.length; i++) squared += row[i]! * row[i]!;
  const norm = Math.sqrt(squared);
  for (let i = 0; i < row.length; i++) row[i]! /= norm;
}

/**
 * An orthogonal matrix [size, size], row-major, uniform among all of them (Haar): the rows of a normal matrix made orthonormal one after the
 * other, which is its QR decomposition with a positive diagonal (Mezzadri, "How to generate random matrices from the classical compact
 * groups", 2007). Each row is cleared twice, which leaves it orthogonal to the last digits. The same draws give the same bits on every machine.
 */
export function haarOrthogonal(size: number, uniform: Uniform): Float64Array {
  const matrix = new Float64Array(size * size);
  fillExactNormal(matrix, uniform);
  for (let index = 0; index < size; index++) {
    const row = matrix.subarray(index * size, (index + 1) * size);
    takeOffRowsAbove(matrix, size, index);
    normalise(row);
    takeOffRowsAbove(matrix, size, index);
    normalise(row);
  }
  return matrix;
}

/**
 * Turns a tensor, row-major, along one of its axes, in place: each vector v [n] that lies along the axis becomes v T, T [n, n]. From the right
 * on the last axis that is M T, on the first of a matrix T^T M, so that for an orthogonal T turning both factors of a product along the axis
 * that they share leaves the product as it is.
 */
export function turnAxis(
  values: Float32Array | Float64Array,
  shape: readonly number[],
  axis: number,
  matrix: Float64Array,
): void {
  const size = shape[axis]!;
  const stride = shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const before = new Float64Array(size);
  for (let block = 0; block < values.length; block += size * stride) {
    for (let start = block; start < block + stride; start++) {
      for (let i = 0; i < size; i++) before[i] = values[start + i * stride]!;
      for (let i = 0; i < size; i++) {
        let sum = 0;
        for (let j = 0; j < size; j++) sum += before[j]! * matrix[j * size + i]!;
        values[start + i * stride] = sum;
      }
    }
  }
}
