import type { Batch, Points } from '../../src/predictor/batch.ts';
import { feedsOf } from '../../src/predictor/gpo/inputs.ts';
import type { Front } from '../../src/sharding/parts/front.ts';
import type { Frame } from '../../src/sharding/parts/part-session.ts';
import { type Matrix, rmsOf } from './matrix.ts';

/** Rows of frames at the cut that hold an answer: what the first keeper sees, and what it would like to know. */
export interface SeenAnswers {
  readonly frames: Matrix;
  /** Row of the feature table that each is about, [rows]. */
  readonly tableRows: Int32Array;
  /** Share that is hidden in each, [rows]. */
  readonly shares: Float32Array;
}

/** What the keeper knows beside frames. */
export interface Accomplice {
  /** The front of the epoch, which every group has. */
  readonly front: Front;
  /** Features of all questions and options, which are public. */
  readonly features: Pick<Batch, 'width' | 'table'>;
  /** The accomplice's own share of each row of the table. */
  readonly ownShares: Float32Array;
}

/** Shares that are tried: 0, 1/SHARES, .. 1. */
const SHARES = 40;
/** Groups are taken to be so far apart, before anything is seen: a normal deviation. */
const APART = 0.1;
/** Least deviation of the noise, relative to the rms, that candidates are weighed by: of the steps between the shares that are tried. */
const LEAST_DEVIATION = 0.003;

/** The front's frame of every row of the table with every share that is tried: row r, share s at r (SHARES + 1) + s. */
async function candidatesOf({ front, features: { width, table } }: Accomplice): Promise<Frame> {
  const count = (table.length / width) * (SHARES + 1);
  const context: Points = {
    rows: Int32Array.from({ length: count }, (_, i) => Math.floor(i / (SHARES + 1))),
    probabilities: Float32Array.from({ length: count }, (_, i) => (i % (SHARES + 1)) / SHARES),
    questions: new Int32Array(count),
  };
  const [ints, floats] = [new Int32Array(0), new Float32Array(0)];
  const target: Points = { rows: ints, probabilities: floats, questions: ints };
  return front.forward(feedsOf({ width, table, context, target } as Batch));
}

/** What was found of each row. */
export interface Recovered {
  /** Expected share given the frame and what it is about, [rows]. */
  readonly shares: Float64Array;
  /** The row of the table that each is most likely about, by the frame alone, [rows]. */
  readonly tableRows: Int32Array;
}

/** Squared distances of one row to all candidates. */
function distancesTo(row: ArrayLike<number>, { data, rows, width }: Frame): Float64Array {
  return Float64Array.from({ length: rows }, (_, candidate) => {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += (row[i]! - data[candidate * width + i]!) ** 2;
    return sum;
  });
}

/** The share that is expected where candidates have these weights, as logarithms, by share [SHARES + 1]. */
function expectedShare(logs: Float64Array): number {
  const highest = Math.max(...logs);
  let [total, sum] = [0, 0];
  for (const [i, log] of logs.entries()) {
    const weight = Math.exp(log - highest);
    total += weight;
    sum += (weight * i) / SHARES;
  }
  return sum / total;
}

/**
 * Tries all questions, options and shares, and weighs them by how near their frames are and how near the accomplice's own answer: Bayes' rule
 * with normal noise of `deviation` on each number. Shares are those of a keeper who is told which question and option each row is about.
 */
export async function searchAnswers(
  accomplice: Accomplice,
  { frames: { data, rows, width }, tableRows }: Pick<SeenAnswers, 'frames' | 'tableRows'>,
  deviation: number,
): Promise<Recovered> {
  const candidates = await candidatesOf(accomplice);
  const variance = Math.max(deviation, LEAST_DEVIATION * rmsOf(candidates)) ** 2;
  const prior = Float64Array.from({ length: candidates.rows }, (_, i) => {
    const share = (i % (SHARES + 1)) / SHARES;
    const own = accomplice.ownShares[Math.floor(i / (SHARES + 1))]!;
    return -((share - own) ** 2) / (2 * APART ** 2);
  });
  const found = { shares: new Float64Array(rows), tableRows: new Int32Array(rows) };
  for (let row = 0; row < rows; row++) {
    const distances = distancesTo(data.subarray(row * width, (row + 1) * width), candidates);
    const logs = distances.map((square, i) => prior[i]! - square / (2 * variance));
    const start = tableRows[row]! * (SHARES + 1);
    found.shares[row] = expectedShare(logs.subarray(start, start + SHARES + 1));
    const highest = logs.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    found.tableRows[row] = Math.floor(logs.indexOf(highest) / (SHARES + 1));
  }
  return found;
}

/** Mean distance of guessed shares from the true ones. */
export function meanError(guessed: ArrayLike<number>, { shares }: Pick<SeenAnswers, 'shares'>): number {
  return shares.reduce((sum, share, i) => sum + Math.abs(share - guessed[i]!), 0) / shares.length;
}
