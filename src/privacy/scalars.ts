import { invariant } from '../core/errors.ts';
import type { ScoreSums, Update } from '../wire/stages.ts';
import { type Grid, MOST_RING_BITS } from './grid.ts';

/**
 * The few numbers that are added along with the delta: the weight, and for the mean and the spread of the groups' scores
 * whether there is one, the score, and its square. Each takes two words of the ring, so that it has twice the digits; on grids of
 * fewer than 8 bits so many that it has as many digits as on one of 8.
 */
const NAMES = ['weight', 'told', 'score', 'square'] as const;
type Scalars = Record<(typeof NAMES)[number], number>;

/** Digits of each number, at the least: whole weights below 2^14 stay exact. */
const LEAST_DIGITS = 14;

/** Words that each number takes. */
function wordsEach({ bits }: Pick<Grid, 'bits'>): number {
  return Math.max(2, Math.ceil(LEAST_DIGITS / (bits - 1)));
}

/** Words that stand before the delta. */
export function scalarWords(grid: Pick<Grid, 'bits'>): number {
  return NAMES.length * wordsEach(grid);
}

/** The same for grids of 8 bits and more, such as all of `seal`. */
export const SCALAR_WORDS = scalarWords({ bits: 8 });

/** Sums over groups. */
export interface ScalarSums {
  readonly totalWeight: number;
  /** Null where nobody told a score. */
  readonly scores: ScoreSums | null;
}

/** Value of one unit of each number. A power of two, so that weights which are whole numbers stay exact. */
function unitsOf(grid: Grid): Scalars {
  const { bits, mostWeight } = grid;
  const digits = wordsEach(grid) * (bits - 1);
  const unit = (most: number) => 2 ** (Math.floor(Math.log2(most)) + 1 - digits);
  return { weight: unit(mostWeight), told: 1, score: unit(1), square: unit(1) };
}

/** How far rounding moves the sum of so many weights, at most. */
export function weightRounding(grid: Grid, groups: number): number {
  return (groups * unitsOf(grid).weight) / 2;
}

/** Writes an update's numbers into the first words. */
export function writeScalars(
  { weight, score }: Pick<Update, 'weight' | 'score'>,
  grid: Grid,
  words: Uint32Array,
): void {
  const units = unitsOf(grid);
  const values: Scalars =
    score === null
      ? { weight, told: 0, score: 0, square: 0 }
      : { weight, told: 1, score, square: score * score };
  const base = 2 ** (grid.bits - 1);
  const each = wordsEach(grid);
  for (const [index, name] of NAMES.entries()) {
    const number = Math.round(values[name] / units[name]);
    invariant(number >= 0 && number < base ** each, `a ${name} within the bound`);
    let rest = number;
    for (let at = each * (index + 1) - 1; at >= each * index; at--) {
      words[at] = rest % base;
      rest = Math.floor(rest / base);
    }
  }
}

/** Reads the sums from the first words. */
export function readScalars(words: Uint32Array, grid: Grid): ScalarSums {
  const units = unitsOf(grid);
  const base = 2 ** (grid.bits - 1);
  const unused = MOST_RING_BITS - grid.ringBits;
  const each = wordsEach(grid);
  const numberOf = (index: number) =>
    words
      .subarray(each * index, each * (index + 1))
      .reduce((number, word) => number * base + ((word << unused) >>> unused), 0);
  const [weight = 0, told = 0, score = 0, square = 0] = NAMES.map(
    (name, index) => numberOf(index) * units[name],
  );
  const scores = told === 0 ? null : { groups: told, sum: score, sumOfSquares: square };
  return { totalWeight: weight, scores };
}
