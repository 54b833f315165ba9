/**
 * Rows of a parameter vector that only some groups have answers for, such as a memory of items. Each group tells along with its update, in the same
 * secure sum, which rows it touched: the mean of a row is over those groups.
 */
export interface CountedRows {
  /** Where the counts stand in the vector: one number for each row. */
  readonly offset: number;
  readonly rows: number;
  /** Tensors [rows, width] that the counts are for. */
  readonly tensors: readonly { readonly offset: number; readonly width: number }[];
  /** Fewest groups that touch a row whose change is sent and taken over. */
  readonly least: number;
}

/** Half a group: counts come through a grid, rounded. */
const ROUNDING = 0.5;

/** Whether a row that so many groups touched may change. */
export function isEnough(count: number, { least }: CountedRows): boolean {
  return count > least - ROUNDING;
}

/** Calls `visit` with every position of the vector that belongs to a row. */
export function forRow({ tensors }: CountedRows, row: number, visit: (position: number) => void): void {
  for (const { offset, width } of tensors) {
    const start = offset + row * width;
    for (let position = start; position < start + width; position++) visit(position);
  }
}
