import { randomBytes } from 'node:crypto';
import { invariant } from '../../core/errors.ts';
import { inverseOf, reduce } from './modular.ts';
import { DEGREE, PRIMES, RESIDUES, type RingElement } from './ring.ts';
import { uniformElement } from './sample.ts';
import type { ElementShare } from './shares.ts';

/**
 * Which answers are wrong. For each of the 20,480 residues, right answers are values of one polynomial of degree < threshold: a word of
 * a Reed-Solomon code. A wrong answer is wrong at the same place of all words, so that words of a few random combinations of the residues
 * say as much as all.
 *
 * Decoded as by Welch and Berlekamp, US patent 4,633,470 (1986): wanted are E != 0 of degree <= e and Q of degree < t + e with
 * Q(x_j) = y_j E(x_j) for all n answers. As long as at most e <= (n - t) / 2 are wrong, there is such a pair, each has Q = P E, where P
 * is the polynomial of the right ones, and the E of least degree vanishes at the wrong ones only. Q need not be computed: there is
 * one exactly where the products y_j E(x_j) pass the checks of the code of degree < t + e.
 */

/**
 * Combinations for each prime. A wrong answer goes unseen where all three of a prime hide its error: with a chance of p^-3, at most
 * 2^-62, whatever the error, as long as who made it did not know the coefficients.
 */
const COMBINATIONS = 3;

/** Where words of the code modulo one prime are values: at `xs`. */
interface Places {
  readonly prime: number;
  readonly xs: readonly number[];
  /** Number j is 1 over the product of x_j - x_i, i != j: what a divided difference multiplies value j with. */
  readonly weights: readonly number[];
}

function placesOf(xs: readonly number[], prime: number): Places {
  const inverse = 1 / prime;
  const weights = xs.map((own) => {
    let product = 1;
    for (const other of xs) if (other !== own) product = reduce(product * (own - other), prime, inverse);
    return inverseOf(product, prime);
  });
  return { prime, xs, weights };
}

/**
 * The sums of weight * value * x^k over all places, k = 0..count-1. Values are those of a polynomial of degree < n - count exactly where all
 * are 0: sum k is the divided difference of x^k times the polynomial, whose degree is too low for one.
 */
function checksOf(values: readonly number[], count: number, { prime, xs, weights }: Places): number[] {
  const inverse = 1 / prime;
  const terms = values.map((value, j) => reduce(value * weights[j]!, prime, inverse));
  return Array.from({ length: count }, () => {
    let sum = 0;
    for (const [j, x] of xs.entries()) {
      sum += terms[j]!;
      terms[j] = reduce(terms[j]! * x, prime, inverse);
    }
    return reduce(sum, prime, inverse);
  });
}

/** row *= factor. Products of residues stay below 2^44, here and below. */
function scaleRow(row: Float64Array, factor: number, prime: number): void {
  const inverse = 1 / prime;
  for (let at = 0; at < row.length; at++) row[at] = reduce(row[at]! * factor, prime, inverse);
}

/** row -= factor * other, from a column on. */
function subtractRow(
  row: Float64Array,
  factor: number,
  other: Float64Array,
  from: number,
  prime: number,
): void {
  const inverse = 1 / prime;
  for (let at = from; at < row.length; at++) row[at] = reduce(row[at]! - factor * other[at]!, prime, inverse);
}

/**
 * Of the first column that is a combination of those before it: minus the coefficients of these, and 1 for itself. Null where all columns
 * are independent. By Gauss and Jordan, in place.
 */
function firstDependence(rows: Float64Array[], columns: number, prime: number): number[] | null {
  for (let column = 0; column < columns; column++) {
    const found = rows.findIndex((row, at) => at >= column && row[column] !== 0);
    if (found < 0) return [...rows.slice(0, column).map((row) => reduce(-row[column]!, prime, 1 / prime)), 1];
    const pivot = rows[found]!;
    rows[found] = rows[column]!;
    rows[column] = pivot;
    scaleRow(pivot, inverseOf(pivot[column]!, prime), prime);
    for (const row of rows)
      if (row !== pivot && row[column] !== 0) subtractRow(row, row[column]!, pivot, column, prime);
  }
  return null;
}

/** A polynomial modulo a prime at x; the lowest coefficient first. */
function valueAt(coefficients: readonly number[], x: number, prime: number): number {
  return coefficients.reduceRight(
    (value, coefficient) => reduce(value * x + coefficient, prime, 1 / prime),
    0,
  );
}

/** The checks of the products value * E(x), from those of the values: check k is the sum of E_l * check k + l. */
function checksTimes(locator: readonly number[], checks: readonly number[], prime: number): number[] {
  return Array.from({ length: checks.length - locator.length + 1 }, (_, k) =>
    locator.reduce((sum, factor, l) => reduce(sum + factor * checks[k + l]!, prime, 1 / prime), 0),
  );
}

/** The places of a word that are not on its polynomial; null where there is none that at most `mostWrong` are off. */
function wrongIn(
  word: readonly number[],
  threshold: number,
  mostWrong: number,
  places: Places,
): number[] | null {
  const { prime, xs } = places;
  const checks = checksOf(word, word.length - threshold, places);
  // One row for each check of the code of degree < t + e, one column for each coefficient of E.
  const rows = Array.from({ length: checks.length - mostWrong }, (_, k) =>
    Float64Array.from(checks.slice(k, k + mostWrong + 1)),
  );
  const locator = firstDependence(rows, mostWrong + 1, prime);
  if (locator === null) return null;
  const wrong = xs.filter((x) => valueAt(locator, x, prime) === 0);
  // E divides Q, and Q / E has a degree < t, where all zeros of E are places and Q has no degree beyond theirs.
  const divides = wrong.length === locator.length - 1;
  return divides && checksTimes(locator, checks, prime).every((check) => check === 0) ? wrong : null;
}

/** The sum of coefficient * residue modulo prime number j. */
function combined(coefficients: RingElement, element: RingElement, j: number): number {
  const prime = PRIMES[j]!;
  const inverse = 1 / prime;
  let sum = 0;
  for (let at = j * DEGREE; at < (j + 1) * DEGREE; at++)
    sum = reduce(sum + coefficients[at]! * element[at]!, prime, inverse);
  return sum;
}

/** 32 bytes for a purpose that nobody could foresee who made an answer. */
export type Chances = (purpose: string) => Uint8Array;

/** Drawn when they are asked for, and by nobody else. */
export const freshChances: Chances = () => randomBytes(32);

/** The numbers of answers that some word shows to be wrong; null where a word has no polynomial. */
function wrongInWords(
  answers: readonly ElementShare[],
  threshold: number,
  mostWrong: number,
  chances: Chances,
): Set<number> | null {
  const xs = answers.map(({ x }) => x);
  // Drawn after the answers are there.
  const draws = Array.from({ length: COMBINATIONS }, (_, index) =>
    uniformElement(chances(`combination ${index}`)),
  );
  const wrong = new Set<number>();
  for (const [j, prime] of PRIMES.entries()) {
    const places = placesOf(xs, prime);
    for (const draw of draws) {
      const word = answers.map(({ share }) => combined(draw, share, j));
      const found = wrongIn(word, threshold, mostWrong, places);
      if (found === null) return null;
      for (const x of found) wrong.add(x);
    }
  }
  return wrong;
}

/**
 * The numbers of the answers that are not on the polynomial of degree < `threshold` that all others are on, as long as these are at most
 * half of those beyond the threshold, floor((n - t) / 2): then it is the only one. Null where there is none, for more are wrong. Of n = t
 * answers none is ever wrong, and of t + 1 all are right or it is null. More wrong answers than these can be made to look like right
 * ones, and right ones like wrong.
 *
 * A wrong answer is missed with a chance of at most 2^-62.
 */
export function wrongAnswers(
  answers: readonly ElementShare[],
  threshold: number,
  chances: Chances = freshChances,
): readonly number[] | null {
  invariant(
    Number.isInteger(threshold) && threshold >= 1 && threshold <= answers.length,
    `threshold ${threshold} of ${answers.length} answers`,
  );
  invariant(
    new Set(answers.map(({ x }) => x)).size === answers.length,
    'a number of an answer is there twice',
  );
  invariant(
    answers.every(({ share }) => share.length === RESIDUES),
    'answers that are elements of the ring',
  );
  const mostWrong = Math.floor((answers.length - threshold) / 2);
  const wrong = wrongInWords(answers, threshold, mostWrong, chances);
  if (wrong === null || wrong.size > mostWrong) return null;
  return answers.flatMap(({ x }) => (wrong.has(x) ? [x] : []));
}
