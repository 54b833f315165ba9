import { invariant } from '../core/errors.ts';
import type { ScoreSums, Update } from '../wire/stages.ts';
import { type Grid, MOST_RING_BITS } from './grid.ts';

/**
 * The few numbers that are added along with the delta: the weight, and for the mean and the spread of the groups' scores
 * whether there is one, the score, and its square. Each takes two words of the ring, so that it has twice the digits.
 */
const NAMES = ['weight', 'told', 'score', 'square'] as const;
type Scalars = Record<(typeof NAMES)[number], number>;

/** Words that stand before the delta. */
export const SCALAR_WORDS = 2 * NAMES.length;

/** Sums over groups. */
export interface ScalarSums {
  readonly totalWeight: number;
  /** Null where nobody told a score. */
  readonly scores: ScoreSums | null;
}

/** Value of one unit of each number. A power of two, so that weights which are whole numbers stay exact. */
function unitsOf({ bits, mostWeight }: Grid): Scalars {
  const digits = 2 * (bits - 1);
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
  for (const [index, name] of NAMES.entries()) {
    const number = Math.round(values[name] / units[name]);
    invariant(number >= 0 && number < base * base, `a ${name} within the bound`);
    words[2 * index] = Math.floor(number / base);
    words[2 * index + 1] = number % base;
  }
}

/** Reads the sums from the first words. */
export function readScalars(words: Uint32Array, grid: Grid): ScalarSums {
  const units = unitsOf(grid);
  const base = 2 ** (grid.bits - 1);
  const unused = MOST_RING_BITS - grid.ringBits;
  const word = (index: number) => (words[index]! << unused) >>> unused;
  const [weight = 0, told = 0, score = 0, square = 0] = NAMES.map(
    (name, index) => (word(2 * index) * base + word(2 * index + 1)) * units[name],
  );
  const scores = told === 0 ? null : { groups: told, sum: score, sumOfSquares: square };
  return { totalWeight: weight, scores };
}
