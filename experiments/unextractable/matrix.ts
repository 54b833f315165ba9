import type { Floats } from '../../src/sharding/parts/part-session.ts';

/** Rows of numbers, row-major [rows, width]. */
export interface Matrix {
  readonly data: Floats;
  readonly rows: number;
  readonly width: number;
}

/** A B of square matrices [n, n]. */
export function multiply(a: Floats, b: Floats, n: number): Float64Array {
  const result = new Float64Array(n * n);
  for (let row = 0; row < n; row++) {
    for (let k = 0; k < n; k++) {
      const factor = a[row * n + k]!;
      for (let column = 0; column < n; column++) result[row * n + column]! += factor * b[k * n + column]!;
    }
  }
  return result;
}

/** A^T of a square matrix [n, n]. */
export function transposed(a: Floats, n: number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, at) => a[(at % n) * n + Math.floor(at / n)]!);
}

/** A^T B / rows of two matrices with the same rows, [a's width, b's width]. */
export function crossMoment(a: Matrix, b: Matrix): Float64Array {
  const result = new Float64Array(a.width * b.width);
  for (let row = 0; row < a.rows; row++) {
    for (let i = 0; i < a.width; i++) {
      const factor = a.data[row * a.width + i]! / a.rows;
      for (let j = 0; j < b.width; j++) {
        result[i * b.width + j]! += factor * b.data[row * b.width + j]!;
      }
    }
  }
  return result;
}

/** Singular values, falling, with their vectors as rows: A = sum of values[k] left[k]^T right[k]. */
export interface SingularValues {
  readonly values: readonly number[];
  readonly left: readonly Float64Array[];
  readonly right: readonly Float64Array[];
}

const MOST_SWEEPS = 60;
const CONVERGED = 1e-14;

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Turns two vectors in their plane by the angle that makes `a` orthogonal to its partner, and their companions with them. */
function rotate(
  pairs: readonly (readonly [Float64Array, Float64Array])[],
  cosine: number,
  sine: number,
): void {
  for (const [a, b] of pairs) {
    for (let i = 0; i < a.length; i++) {
      const [x, y] = [a[i]!, b[i]!];
      a[i] = cosine * x - sine * y;
      b[i] = sine * x + cosine * y;
    }
  }
}

/** One-sided Jacobi rotations of the columns (Hestenes, "Inversion of matrices by biorthogonalization", 1958) of a square matrix [n, n]. */
export function singularValues(matrix: Floats, n: number): SingularValues {
  const columns = Array.from({ length: n }, (_, j) =>
    Float64Array.from({ length: n }, (_, i) => matrix[i * n + j]!),
  );
  const right = columns.map((_, j) => Float64Array.from({ length: n }, (_, i) => Number(i === j)));
  for (let sweep = 0, worst = 1; sweep < MOST_SWEEPS && worst > CONVERGED; sweep++) {
    worst = 0;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const [a, b] = [columns[p]!, columns[q]!];
        const [aa, bb, ab] = [dot(a, a), dot(b, b), dot(a, b)];
        const common = Math.abs(ab) / (Math.sqrt(aa * bb) || 1);
        if (common <= CONVERGED) continue;
        worst = Math.max(worst, common);
        const zeta = (bb - aa) / (2 * ab);
        const tangent = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
        const cosine = 1 / Math.sqrt(1 + tangent * tangent);
        const vectors = [
          [a, b],
          [right[p]!, right[q]!],
        ] as const;
        rotate(vectors, cosine, cosine * tangent);
      }
    }
  }
  const values = columns.map((column) => Math.sqrt(dot(column, column)));
  const order = [...values.keys()].sort((i, j) => values[j]! - values[i]!);
  return {
    values: order.map((k) => values[k]!),
    left: order.map((k) => columns[k]!.map((value) => value / (values[k]! || 1))),
    right: order.map((k) => right[k]!),
  };
}

/** Sum of a[k]^T b[k] over two lists of n rows: [n, n]. */
export function sumOfOuter(a: readonly Float64Array[], b: readonly Float64Array[]): Float64Array {
  const n = a.length;
  const result = new Float64Array(n * n);
  for (const [k, left] of a.entries()) {
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) result[i * n + j]! += left[i]! * b[k]![j]!;
  }
  return result;
}

/** Frames one below the other. */
export function stacked(frames: readonly Matrix[]): Matrix {
  const [{ width }] = frames as [Matrix];
  const rows = frames.reduce((sum, frame) => sum + frame.rows, 0);
  const data = new Float64Array(rows * width);
  let position = 0;
  for (const frame of frames) {
    data.set(frame.data, position);
    position += frame.data.length;
  }
  return { data, rows, width };
}

/** Root of the mean square of a frame's numbers. */
export function rmsOf({ data }: Pick<Matrix, 'data'>): number {
  let sum = 0;
  for (const value of data) sum += value * value;
  return Math.sqrt(sum / data.length);
}
