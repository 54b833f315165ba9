/**
 * How well a circulant graph holds together: groups in a circle, each next to those `offset` places before and after it, for
 * each of its offsets. Only + - * / are used, which IEEE 754 rounds alike everywhere: all groups must accept the same graph.
 */

/** Terms of the series of the cosine; the next one is below 1e-21 at a quarter of a turn. */
const TERMS = 13;

/** Cosine of `turns` of a circle, from 0 to 1/4, within 1e-15, by its series: Math.cos may differ between platforms. */
function cosineOf(turns: number): number {
  const square = (2 * Math.PI * turns) ** 2;
  let sum = 1;
  for (let i = 2 * TERMS; i > 0; i -= 2) sum = 1 - (sum * square) / (i * (i - 1));
  return sum;
}

/** 2 cos(2 pi j / count) for j = 0..count-1. */
function doubleCosines(count: number): Float64Array {
  return Float64Array.from({ length: count }, (_, j) => {
    const near = Math.min(j, count - j);
    return 4 * near <= count ? 2 * cosineOf(near / count) : -2 * cosineOf((count - 2 * near) / (2 * count));
  });
}

/**
 * The largest absolute value among the eigenvalues of the graph's adjacency matrix, without the trivial one: its degree,
 * 2 * offsets.length, for the vector of ones. The others are sum over offsets s of 2 cos(2 pi j s / count), j = 1..count-1.
 * `offsets` are distinct and from 1 to (count - 1) / 2. Within 1e-12.
 */
export function largestEigenvalue(count: number, offsets: Iterable<number>): number {
  const table = doubleCosines(count);
  // Those of j and of count - j are the same.
  const eigenvalues = new Float64Array(Math.floor(count / 2));
  for (const offset of offsets) {
    let at = 0;
    for (let j = 0; j < eigenvalues.length; j++) {
      at += offset;
      if (at >= count) at -= count;
      eigenvalues[j]! += table[at]!;
    }
  }
  return eigenvalues.reduce((most, eigenvalue) => Math.max(most, Math.abs(eigenvalue)), 0);
}
