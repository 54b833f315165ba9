import { asStage } from '../core/brand.ts';
import { type CountedRows, forRow, isEnough } from '../wire/counted-rows.ts';
import type { Update } from '../wire/stages.ts';

/** The counted rows of an update's vector, as one group fills them in. */
export interface OwnRows {
  readonly counted: CountedRows;
  /** Whether the group has answers for a row. */
  readonly touched: (row: number) => boolean;
  /** What it adds to the count of a row that it touched. */
  readonly unit: number;
}

/** The float32 that is no smaller: what is beyond the clip is cut to it exactly, what is below would be rounded by chance. */
function roundedUp(value: number): number {
  const nearest = Math.fround(value);
  return nearest >= value ? nearest : Math.fround(value * (1 + 2 ** -23));
}

/** Rows that the group has no answers for, or that the received model says too few groups have answers for, do not change; touched ones are counted. */
function countRows(delta: Float32Array, received: Float32Array, { counted, touched, unit }: OwnRows): void {
  const { offset, rows, least } = counted;
  const one = roundedUp(unit);
  for (let row = 0; row < rows; row++) {
    const own = touched(row);
    // Of one group nothing is kept back, so it need not be known first.
    const known = least <= 1 || isEnough(received[offset + row]!, counted);
    if (!own || !known) {
      forRow(counted, row, (position) => {
        delta[position] = 0;
      });
    }
    delta[offset + row] = own ? one : 0;
  }
}

/** The clear update of a group: what local training changed, `trained` minus `received`, float32 [parameters], with its counted rows. */
export function makeUpdate(made: {
  readonly group: string;
  readonly round: number;
  readonly weight: number;
  readonly received: Float32Array;
  readonly trained: Float32Array;
  readonly score: number | null;
  /** Null where the vector has no counted rows. */
  readonly rows: OwnRows | null;
}): Update {
  const { group, round, weight, received, trained, score, rows } = made;
  const delta = trained.map((value, index) => value - received[index]!);
  if (rows !== null) countRows(delta, received, rows);
  return asStage({ group, round, weight, delta, score });
}

/** The update of who takes part without answers: zeros, of weight 0. */
export function emptyUpdate(group: string, round: number, received: Float32Array): Update {
  return makeUpdate({ group, round, weight: 0, received, trained: received, score: null, rows: null });
}
