import { choicesOf } from '../secure-sum/choices.ts';
import { type CiphertextSum, isKeyOf, open } from './ciphertext.ts';
import { loadedRing } from './loaded-ring.ts';
import type { CipherPlan } from './plan.ts';
import type { RingElement } from './ring.ts';
import { type ElementShare, joinElements } from './shares.ts';

/** A member's share of the key of the sum. */
export interface MemberShare extends ElementShare {
  readonly member: string;
}

/** A sum, and whose shares are not what those that opened it say they should be: a member lied, or a group dealt it a wrong share. */
export interface OpenedSum {
  readonly words: Uint32Array;
  readonly liars: readonly string[];
}

function equal(a: RingElement, b: RingElement): boolean {
  return a.every((residue, at) => residue === b[at]);
}

/** The key that as many shares as the threshold give and that opens the sum; null where there is none among the choices tried. */
function findKey({
  plan,
  sum,
  seed,
  shares,
  threshold,
}: SealedSum): { readonly secretSum: RingElement; readonly used: readonly MemberShare[] } | null {
  const ring = loadedRing();
  for (const used of choicesOf(shares, threshold)) {
    const secretSum = joinElements(used);
    if (isKeyOf(ring, plan, { sum, secretSum, seed })) return { secretSum, used };
  }
  return null;
}

export interface SealedSum {
  readonly plan: CipherPlan;
  readonly sum: CiphertextSum;
  /** How many words it has. */
  readonly words: number;
  /** Of the public elements. */
  readonly seed: Uint8Array;
  readonly shares: readonly MemberShare[];
  readonly threshold: number;
}

/**
 * Opens a sum with shares of its key, at least as many as the threshold. A key is known to be right by what it opens: with a
 * wrong one all numbers are noise. Null where no choice of shares opens it.
 */
export function openSum(sealed: SealedSum): OpenedSum | null {
  const found = findKey(sealed);
  if (found === null) return null;
  const { secretSum, used } = found;
  const words = open(loadedRing(), sealed.plan, { ...sealed, secretSum });
  if (words === null) return null;
  const trusted = new Set(used.map(({ member }) => member));
  const liars = sealed.shares.filter(
    ({ member, x, share }) => !trusted.has(member) && !equal(joinElements(used, x), share),
  );
  return { words, liars: liars.map(({ member }) => member) };
}
