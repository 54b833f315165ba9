import { sha256 } from '../../core/digest.ts';
import { PluralError } from '../../core/errors.ts';
import type { RoundContext } from '../protection.ts';
import { type Roster as KeyRoster, rosterOf as keysOf } from '../secure-sum/roster.ts';
import { type Assumptions, type Committee, committeeOf, planCommittee } from './committee.ts';
import { type Advert, type KeyName, SEALED } from './messages.ts';

/** The groups of one attempt of a round with their keys, and who of them keeps shares. */
export interface Roster extends KeyRoster<KeyName> {
  readonly committee: Committee;
  /** 32 bytes that the public elements of the attempt come from. */
  readonly seed: Uint8Array;
}

/** The committee is a function of all keys: whoever wants another one must change them. */
export function rosterOf(context: RoundContext, adverts: readonly Advert[], assumed: Assumptions): Roster {
  const roster = keysOf(SEALED, context, adverts, { assumed });
  const plan = planCommittee(roster.groups.length, assumed);
  if (plan === null) {
    throw new PluralError(
      'ROUND_REFUSED',
      `round ${context.round}: there is no committee for ${roster.groups.length} groups`,
      {
        hint: 'Fewer groups may be corrupt or lost where there are so many: see protection.corruptShare and dropoutShare.',
      },
    );
  }
  const beacon = sha256('pluralllm-seal-v1 beacon', roster.digest);
  const seed = Buffer.from(sha256('pluralllm-seal-v1 public elements', roster.digest), 'hex');
  return { ...roster, committee: committeeOf(roster.groups, beacon, plan), seed };
}
