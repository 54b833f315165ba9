/** A column shorter than this share of its former length lay in the span of those before it, up to rounding. */
const DEPENDENT = 1e-10;

export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

export function norm(a: Float64Array): number {
  return Math.sqrt(dot(a, a));
}

function subtractMultiple(target: Float64Array, factor: number, direction: Float64Array): void {
  for (let i = 0; i < target.length; i++) target[i]! -= factor * direction[i]!;
}

/** Columns Q with Q^T Q = 1 and the coefficients R, one column of length [columns of Q] per input column: Q R = input. */
export interface Orthonormal {
  readonly basis: readonly Float64Array[];
  readonly coefficients: readonly Float64Array[];
}

/**
 * Modified Gram-Schmidt, run twice over each column ("twice is enough", Parlett 1980), so that the basis is
 * orthonormal to rounding. Columns that depend on earlier ones add nothing to the basis.
 */
export function orthonormalise(columns: readonly Float64Array[]): Orthonormal {
  const basis: Float64Array[] = [];
  const coefficients: number[][] = [];
  for (const column of columns) {
    const rest = Float64Array.from(column);
    const before = norm(rest);
    const shares = basis.map(() => 0);
    for (let pass = 0; pass < 2; pass++) {
      for (const [i, direction] of basis.entries()) {
        const share = dot(direction, rest);
        shares[i]! += share;
        subtractMultiple(rest, share, direction);
      }
    }
    const length = norm(rest);
    if (length > DEPENDENT * before) {
      basis.push(rest.map((value) => value / length));
      shares.push(length);
    }
    coefficients.push(shares);
  }
  return { basis, coefficients: coefficients.map((shares) => padded(shares, basis.length)) };
}

function padded(values: readonly number[], length: number): Float64Array {
  const result = new Float64Array(length);
  result.set(values);
  return result;
}
