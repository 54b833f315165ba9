import { hexOf } from '../../core/bytes.ts';
import { permutationOf } from '../secure-sum/beacon.ts';
import { choicesCount, choicesOf } from '../secure-sum/choices.ts';
import { type CiphertextSum, open } from './ciphertext.ts';
import { type Chances, freshChances, wrongAnswers } from './decode.ts';
import { loadedRing } from './loaded-ring.ts';
import type { CipherPlan } from './plan.ts';
import { DEGREE, type RingElement } from './ring.ts';
import { type ElementShare, joinElements } from './shares.ts';
import { wordsPerPolynomial } from './slots.ts';

/** A member's share of the key of the sum. */
export interface MemberShare extends ElementShare {
  readonly member: string;
}

/**
 * A sum, and whose shares are not on the polynomial that the others are on: a member lied, or a group dealt it a wrong share.
 * Nobody where more are wrong than can be told apart.
 */
export interface OpenedSum {
  readonly words: Uint32Array;
  readonly liars: readonly string[];
}

export interface SumToOpen {
  readonly plan: CipherPlan;
  readonly sum: CiphertextSum;
  /** How many words it has. */
  readonly words: number;
  /** Of the public elements. */
  readonly seed: Uint8Array;
  readonly shares: readonly MemberShare[];
  readonly threshold: number;
  /** What the choices follow from; left out: nobody's. Who gives them comes to the same sum each time. */
  readonly chances?: Chances;
}

/** As many keys are tried where answers cannot be decoded: each takes milliseconds, in which nothing else is done. */
const MOST_CHOICES = 200;

/** All choices of as many shares as the threshold, or MOST_CHOICES that nobody could foresee: liars cannot place themselves in each. */
function* choicesToTry(
  shares: readonly MemberShare[],
  threshold: number,
  chances: Chances,
): Generator<readonly MemberShare[]> {
  if (choicesCount(shares.length, threshold) <= MOST_CHOICES) return yield* choicesOf(shares, threshold);
  const beacon = hexOf(chances('choices'));
  for (let i = 0; i < MOST_CHOICES; i++) {
    const order = permutationOf(shares.length, `choice ${i}`, beacon);
    yield Array.from(order.subarray(0, threshold), (place) => shares[place]!);
  }
}

/** What a key opens; null where it is not that of the sum. */
function openWith(sealed: SumToOpen, secretSum: RingElement): Uint32Array | null {
  return open(loadedRing(), sealed.plan, { ...sealed, secretSum });
}

/** A sum without its polynomials from the third on. */
function beginningOf(sealed: SumToOpen): SumToOpen {
  const { plan, sum } = sealed;
  const cut = (fractions: Uint32Array) => fractions.subarray(0, 2 * DEGREE);
  const words = Math.min(sealed.words, 2 * wordsPerPolynomial(plan));
  return { ...sealed, sum: { ...sum, hi: cut(sum.hi), lo: cut(sum.lo) }, words };
}

function equal(a: RingElement, b: RingElement): boolean {
  return a.every((residue, at) => residue === b[at]);
}

/** What the only key opens that opens the sum, among those that some choices give; null where there is none, or another too. */
function openByChoice(sealed: SumToOpen, choices: Iterable<readonly MemberShare[]>): Uint32Array | null {
  let found: { readonly key: RingElement; readonly words: Uint32Array } | null = null;
  // Liars can make as many wrong keys as there are choices open the first polynomial; none of them should cost a reading of all.
  const beginning = beginningOf(sealed);
  for (const choice of choices) {
    const key = joinElements(choice);
    if (found !== null && equal(found.key, key)) continue;
    if (openWith(beginning, key) === null) continue;
    const words = openWith(sealed, key);
    if (words === null) continue;
    if (found !== null) return null;
    found = { key, words };
  }
  return found === null ? null : found.words;
}

/** The choices that are not all of shares whose key was already tried. */
function* choicesBeside(
  tried: readonly MemberShare[],
  choices: Iterable<readonly MemberShare[]>,
): Generator<readonly MemberShare[]> {
  for (const choice of choices) if (!choice.every((share) => tried.includes(share))) yield choice;
}

/**
 * Opens a sum with shares of its key, at least as many as the threshold. Where at most half of the shares beyond the threshold are wrong,
 * floor((n - t) / 2), they are found and named, and the key comes from the others. Where more are, keys from up to 200 choices of
 * shares are tried, and nobody is named: errors of so many can make right shares look wrong.
 *
 * Null where no key opens the sum. Whoever knows the public elements can make a wrong key that opens it all the same, surely where it is one
 * polynomial; hence null too where two keys open it: no sum is better than a wrong one. Of exactly as many shares as
 * the threshold none can be checked against others: only the noise tells that one is wrong, and not one that was made with thought.
 */
export function openSum(sealed: SumToOpen): OpenedSum | null {
  const { shares, threshold, chances = freshChances } = sealed;
  const wrong = wrongAnswers(shares, threshold, chances);
  const fitting = wrong === null ? [] : shares.filter(({ x }) => !wrong.includes(x));
  if (wrong !== null) {
    const words = openWith(sealed, joinElements(fitting.slice(0, threshold)));
    const liars = shares.filter((share) => !fitting.includes(share));
    if (words !== null) return { words, liars: liars.map(({ member }) => member) };
  }
  const words = openByChoice(sealed, choicesBeside(fitting, choicesToTry(shares, threshold, chances)));
  return words === null ? null : { words, liars: [] };
}
