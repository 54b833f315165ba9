import { randomStream } from '../../core/random.ts';
import { dot, norm, orthonormalise } from './orthonormal.ts';
import { multiply, multiplyTransposed, type SparseMatrix } from './sparse.ts';

/** Extra directions that make the wanted ones accurate (Halko, Martinsson and Tropp 2011, section 4.2, say 5 to 10). */
const OVERSAMPLING = 10;
/** Spectra of text decay slowly; each pass raises the ratio of neighbouring singular values to a further square. */
const POWER_PASSES = 8;
/** Singular values below this share of the largest are rounding, not rank. */
const RANK_TOLERANCE = 1e-9;
const JACOBI_SWEEPS = 60;
const JACOBI_TOLERANCE = 1e-15;

/** The largest singular values, descending, and their left vectors, each of shape [rows]. */
export interface TruncatedSvd {
  readonly singularValues: readonly number[];
  readonly left: readonly Float64Array[];
}

function rotate(a: Float64Array, b: Float64Array, cosine: number, sine: number): void {
  for (let i = 0; i < a.length; i++) {
    const x = a[i]!;
    const y = b[i]!;
    a[i] = cosine * x - sine * y;
    b[i] = sine * x + cosine * y;
  }
}

/** Makes columns p and q orthogonal (Hestenes 1958); false where they already were. */
function rotatePair(work: Float64Array[], right: Float64Array[], p: number, q: number): boolean {
  const a = work[p]!;
  const b = work[q]!;
  const alpha = dot(a, a);
  const beta = dot(b, b);
  const gamma = dot(a, b);
  if (Math.abs(gamma) <= JACOBI_TOLERANCE * Math.sqrt(alpha * beta)) return false;
  const zeta = (beta - alpha) / (2 * gamma);
  const tangent = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
  const cosine = 1 / Math.sqrt(1 + tangent * tangent);
  rotate(a, b, cosine, cosine * tangent);
  rotate(right[p]!, right[q]!, cosine, cosine * tangent);
  return true;
}

/**
 * Singular values of a small dense matrix given by columns, and its right vectors, by one-sided Jacobi:
 * accurate to rounding, also for the small values. Unsorted.
 */
export function jacobiSvd(columns: readonly Float64Array[]): { values: number[]; right: Float64Array[] } {
  const work = columns.map((column) => Float64Array.from(column));
  const right = columns.map((_, i) =>
    Float64Array.from({ length: columns.length }, (_, j) => Number(i === j)),
  );
  for (let sweep = 0; sweep < JACOBI_SWEEPS; sweep++) {
    let rotated = false;
    for (let p = 0; p < work.length; p++) {
      for (let q = p + 1; q < work.length; q++) rotated = rotatePair(work, right, p, q) || rotated;
    }
    if (!rotated) break;
  }
  return { values: work.map(norm), right };
}

function unitVectors(size: number): Float64Array[] {
  return Array.from({ length: size }, (_, i) =>
    Float64Array.from({ length: size }, (_, j) => Number(i === j)),
  );
}

/** A basis of the range of the leading left vectors: by subspace iteration from random signs. */
function leadingRange(matrix: SparseMatrix, size: number, seed: number): readonly Float64Array[] {
  const random = randomStream(seed, 'truncated-svd');
  // Signs rather than normals: no logarithm or sine, so the start is the same on every machine.
  const signs = () =>
    Float64Array.from({ length: matrix.columnCount }, () => (random.below(2) === 0 ? -1 : 1));
  let { basis } = orthonormalise(Array.from({ length: size }, () => multiply(matrix, signs())));
  for (let pass = 0; pass < POWER_PASSES; pass++) {
    const rows = orthonormalise(basis.map((column) => multiplyTransposed(matrix, column))).basis;
    basis = orthonormalise(rows.map((row) => multiply(matrix, row))).basis;
  }
  return basis;
}

/** The range to search; all of it where the matrix is small, because few random vectors may depend on each other. */
function rangeBasis(matrix: SparseMatrix, size: number, seed: number): readonly Float64Array[] {
  const { rowCount, columnCount } = matrix;
  if (size >= rowCount) return unitVectors(rowCount);
  if (size >= columnCount)
    return orthonormalise(unitVectors(columnCount).map((x) => multiply(matrix, x))).basis;
  return leadingRange(matrix, size, seed);
}

function combine(basis: readonly Float64Array[], weights: Float64Array): Float64Array {
  const result = new Float64Array(basis[0]?.length ?? 0);
  for (const [i, column] of basis.entries()) {
    const weight = weights[i]!;
    for (let row = 0; row < result.length; row++) result[row]! += weight * column[row]!;
  }
  return result;
}

/** A singular vector is known up to its sign: the entry of largest magnitude (the first of equals) is made positive. */
function signFixed(vector: Float64Array): Float64Array {
  let largest = 0;
  for (const value of vector) if (Math.abs(value) > Math.abs(largest)) largest = value;
  return largest < 0 ? vector.map((value) => -value) : vector;
}

/**
 * Truncated SVD of a sparse matrix by randomised subspace iteration (Halko, Martinsson and Tropp 2011, algorithms 4.4
 * and 5.1), in float64. At most `components` triples; fewer where the rank is lower. Exact (to rounding) where
 * `components` + 10 reaches the smaller side of the matrix.
 */
export function truncatedSvd(matrix: SparseMatrix, components: number, seed: number): TruncatedSvd {
  const basis = rangeBasis(matrix, components + OVERSAMPLING, seed);
  // A ~ Q (A^T Q)^T; with A^T Q = P R and R = W S V^T the left vectors are Q V, the singular values S.
  const projected = orthonormalise(basis.map((column) => multiplyTransposed(matrix, column)));
  const { values, right } = jacobiSvd(projected.coefficients);
  const order = [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b);
  const largest = values[order[0] ?? 0] ?? 0;
  const kept = order.slice(0, components).filter((i) => values[i]! > RANK_TOLERANCE * largest);
  return {
    singularValues: kept.map((i) => values[i]!),
    left: kept.map((i) => signFixed(combine(basis, right[i]!))),
  };
}
