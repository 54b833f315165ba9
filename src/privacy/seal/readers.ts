import type { RoundContext } from '../protection.ts';
import { keyFor } from '../secure-sum/keys.ts';
import type { Committee } from './committee.ts';
import type { Chances } from './decode.ts';

/** What a committee is asked for in an attempt of a round, by what everybody knows of it. */
export interface Asked {
  readonly context: RoundContext;
  /** Digest of the roster. */
  readonly roster: string;
  readonly committee: Committee;
  /** Whose updates are in the sum, in code-unit order. */
  readonly survivors: readonly string[];
}

/**
 * The key that seals a member's answer for the readers. Bound to all that the answer is about, so that a sealed sum that says anything
 * else of it opens nothing; and so that it seals one message, whatever a member is shown.
 */
export function answerKey(readersKey: Uint8Array, asked: Asked, member: string): Uint8Array {
  const { context, roster, survivors } = asked;
  const { members, threshold } = asked.committee;
  return keyFor(readersKey, 'sealed answer', { ...context, roster, members, threshold, survivors, member });
}

/**
 * The key that seals a share of a group's key for a member, from the one that the two agreed upon. Whoever enrols as a member, or comes
 * between two groups, opens no such box without the readers' key, and seals none that others open.
 */
export function shareKey(readersKey: Uint8Array, agreed: Uint8Array): Uint8Array {
  return keyFor(Buffer.concat([agreed, readersKey]), 'sealed shares for readers', {});
}

/**
 * What readers decode answers with: the same for all of them, and foreseen by nobody who made an answer, for it follows from the digest of
 * the whole sealed sum; nor by the aggregator, which does not have the key.
 */
export function readersChances(readersKey: Uint8Array, digest: string): Chances {
  return (purpose) => keyFor(readersKey, `decoding: ${purpose}`, { digest });
}
