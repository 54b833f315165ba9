/** A sparse matrix by rows: entries `rowStarts[i] .. rowStarts[i + 1] - 1` of columns and values are row i. */
export interface SparseMatrix {
  readonly rowCount: number;
  readonly columnCount: number;
  readonly rowStarts: Int32Array;
  readonly columns: Int32Array;
  readonly values: Float64Array;
}

/** Packs rows of (column, value) pairs. */
export function sparseFrom(
  rows: readonly (readonly (readonly [number, number])[])[],
  columnCount: number,
): SparseMatrix {
  const rowStarts = new Int32Array(rows.length + 1);
  for (const [i, row] of rows.entries()) rowStarts[i + 1] = rowStarts[i]! + row.length;
  const entries = rows.flat();
  return {
    rowCount: rows.length,
    columnCount,
    rowStarts,
    columns: Int32Array.from(entries, ([column]) => column),
    values: Float64Array.from(entries, ([, value]) => value),
  };
}

/** A x, shape [rows], for x of shape [columns]. */
export function multiply(matrix: SparseMatrix, x: Float64Array): Float64Array {
  const { rowCount, rowStarts, columns, values } = matrix;
  const result = new Float64Array(rowCount);
  for (let row = 0; row < rowCount; row++) {
    const end = rowStarts[row + 1]!;
    let sum = 0;
    for (let i = rowStarts[row]!; i < end; i++) sum += values[i]! * x[columns[i]!]!;
    result[row] = sum;
  }
  return result;
}

/** A^T y, shape [columns], for y of shape [rows]. */
export function multiplyTransposed(matrix: SparseMatrix, y: Float64Array): Float64Array {
  const { rowCount, columnCount, rowStarts, columns, values } = matrix;
  const result = new Float64Array(columnCount);
  for (let row = 0; row < rowCount; row++) {
    const end = rowStarts[row + 1]!;
    const factor = y[row]!;
    for (let i = rowStarts[row]!; i < end; i++) result[columns[i]!]! += values[i]! * factor;
  }
  return result;
}
