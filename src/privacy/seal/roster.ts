import { bytesFrom } from '../../core/bytes.ts';
import { sha256 } from '../../core/digest.ts';
import { PluralError } from '../../core/errors.ts';
import type { RoundContext } from '../protection.ts';
import { type Roster as KeyRoster, rosterOf as keysOf } from '../secure-sum/roster.ts';
import { type Committee, type CommitteeRule, committeeOf } from './committee.ts';
import { type Advert, type KeyName, SEALED } from './messages.ts';

/** The groups of one attempt of a round with their keys, and who of them keeps shares. */
export interface Roster extends KeyRoster<KeyName> {
  readonly committee: Committee;
  /** 32 bytes that the public elements of the attempt come from. */
  readonly seed: Uint8Array;
}

/** The seed of the public elements of an attempt, by the digest of its roster. */
export function seedOf(digest: string): Uint8Array {
  return bytesFrom(sha256('pluralllm-seal-v1 public elements', digest));
}

/** The committee is a function of all keys: whoever wants another one must change them. Errors: ROUND_REFUSED where there is none. */
export function rosterOf(context: RoundContext, adverts: readonly Advert[], rule: CommitteeRule): Roster {
  const roster = keysOf(SEALED, context, adverts, { committee: rule });
  const { digest, groups } = roster;
  const committee = committeeOf(groups, sha256('pluralllm-seal-v1 beacon', digest), rule);
  if (committee === null) {
    throw new PluralError(
      'ROUND_REFUSED',
      `round ${context.round}: there is no committee among its ${groups.length} groups`,
      {
        hint: 'Named members must take part; of very many groups fewer may be corrupt or lost: see protection.committee, corruptShare and dropoutShare.',
      },
    );
  }
  return { ...roster, committee, seed: seedOf(digest) };
}
