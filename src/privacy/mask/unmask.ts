import { hexOf } from '../../core/bytes.ts';
import { sha256 } from '../../core/digest.ts';
import { invariant, PluralError } from '../../core/errors.ts';
import { choicesOf } from '../secure-sum/choices.ts';
import { addMask } from '../secure-sum/expand.ts';
import { keyPairOf } from '../secure-sum/key-agreement.ts';
import { pairMaskKey, pairSign, selfMaskKey } from './keys.ts';
import type { Shares } from './messages.ts';
import type { Roster } from './roster.ts';
import { joinSecret } from './shamir.ts';

/** What is known of a masked round when all its steps are over. */
export interface Unmasking {
  readonly roster: Roster;
  /** Groups that shared their secrets, and those of them whose masked updates are in the sum; in code-unit order. */
  readonly sharers: readonly string[];
  readonly survivors: readonly string[];
  readonly shares: ReadonlyMap<string, Shares>;
  /** By group that revealed: one share for each of its neighbours among the sharers, in code-unit order. */
  readonly revealed: ReadonlyMap<string, readonly (Uint8Array | null)[]>;
}

interface PlacedShare {
  readonly x: number;
  readonly share: Uint8Array;
}

/** All shares of each sharer's secret that were revealed. The place of a neighbour in the owner's list is its x. */
function sharesByOwner({ roster, sharers, revealed }: Unmasking): Map<string, PlacedShare[]> {
  const shared = new Set(sharers);
  const byOwner = new Map<string, PlacedShare[]>(sharers.map((owner) => [owner, []]));
  for (const [keeper, shares] of revealed) {
    const owners = roster.neighbours.get(keeper)!.filter((other) => shared.has(other));
    for (const [index, owner] of owners.entries()) {
      const x = roster.neighbours.get(owner)!.indexOf(keeper) + 1;
      const share = shares[index] ?? null;
      if (share !== null) byOwner.get(owner)!.push({ x, share });
    }
  }
  return byOwner;
}

/** Rebuilds a secret that `isRight` knows again. Errors: ROUND_FAILED where too few shares came, or wrong ones. */
function rebuild(
  { roster }: Unmasking,
  owner: string,
  shares: readonly PlacedShare[],
  isRight: (secret: Uint8Array) => boolean,
): Uint8Array {
  const { threshold } = roster.plan;
  const { round } = roster.context;
  if (shares.length < threshold) {
    throw new PluralError(
      'ROUND_FAILED',
      `masked round ${round}: ${shares.length} of ${threshold} needed neighbours of group "${owner}" were there to unmask the sum`,
      { hint: 'Nothing of the sum was revealed. Fewer groups may be lost in a round.' },
    );
  }
  for (const choice of choicesOf(shares, threshold)) {
    const secret = joinSecret(choice, threshold);
    if (isRight(secret)) return secret;
  }
  throw new PluralError(
    'ROUND_FAILED',
    `masked round ${round}: the shares of group "${owner}" open nothing: it gave wrong ones, or its neighbours did`,
    {
      hint: 'Groups that do this again and again should be revoked.',
    },
  );
}

/** Takes the self mask of a survivor off the sum. */
function takeSelfMask(
  sum: Uint32Array,
  work: Unmasking,
  group: string,
  shares: readonly PlacedShare[],
): void {
  const { roster } = work;
  const commitment = hexOf(work.shares.get(group)!.commitment);
  const secret = rebuild(work, group, shares, (candidate) => sha256(candidate) === commitment);
  addMask(sum, selfMaskKey(secret, roster, group), -1);
}

/** Takes off the sum what the neighbours of a group that was lost put on it for the masks they share with it. */
function takePairMasks(
  sum: Uint32Array,
  work: Unmasking,
  lost: string,
  shares: readonly PlacedShare[],
): void {
  const { roster, survivors } = work;
  const advertised = hexOf(roster.adverts.get(lost)!.maskKey);
  const secret = rebuild(work, lost, shares, (candidate) => keyPairOf(candidate).publicKey === advertised);
  const pair = keyPairOf(secret);
  const survived = new Set(survivors);
  for (const other of roster.neighbours.get(lost)!) {
    if (!survived.has(other)) continue;
    const key = pairMaskKey(pair, roster, [lost, other], other);
    invariant(key !== null, 'keys of the roster are checked');
    addMask(sum, key, pairSign(other, lost) === 1 ? -1 : 1);
  }
}

/**
 * Takes all masks off a sum of masked vectors, in place: of each survivor the self mask, of each group that shared and was lost
 * the pairwise masks. Errors: ROUND_FAILED.
 */
export function takeOffMasks(sum: Uint32Array, work: Unmasking): void {
  const survived = new Set(work.survivors);
  for (const [owner, shares] of sharesByOwner(work)) {
    if (survived.has(owner)) takeSelfMask(sum, work, owner, shares);
    else takePairMasks(sum, work, owner, shares);
  }
}
