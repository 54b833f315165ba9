import { hexOf } from '../../core/bytes.ts';
import { digestOf, sha256 } from '../../core/digest.ts';
import { PluralError } from '../../core/errors.ts';
import { isSignedBy } from '../../wire/identity.ts';
import { quorumOf } from '../../wire/step.ts';
import type { RoundContext } from '../protection.ts';
import { type Assumptions, findGraph, type GraphPlan, neighboursOf } from './graph.ts';
import { keyPairOf } from './key-agreement.ts';
import { type Advert, type Keys, keysStatement } from './messages.ts';

/** The groups of one attempt of a round with their keys, and who is whose neighbour: what everybody computes alike. */
export interface Roster {
  readonly context: RoundContext;
  /** In code-unit order. */
  readonly groups: readonly string[];
  readonly adverts: ReadonlyMap<string, Advert>;
  /** SHA-256 of context and keys; every key and every statement of the attempt is bound to it. */
  readonly digest: string;
  readonly plan: GraphPlan;
  readonly neighbours: ReadonlyMap<string, readonly string[]>;
  /** Fewest groups of a later step: more than two thirds of these, so that two such sets share an honest group. */
  readonly quorum: number;
}

/** Whether the identity among the keys signed them, for this attempt of this round. */
export function areSigned(
  context: RoundContext,
  group: string,
  keys: Keys,
  verify: typeof isSignedBy = isSignedBy,
): boolean {
  const { identity, signature } = keys;
  return verify(hexOf(identity), keysStatement(context, group, keys), hexOf(signature));
}

/** X25519 does not look at the highest bit: with it set, one key would pass for two. */
export function isCanonical(key: Uint8Array): boolean {
  return (key.at(-1)! & 0x80) === 0;
}

const PROBE = keyPairOf(new Uint8Array(32).fill(7));

/** Whether two keys give a secret with any other: points of small order do not. */
export function giveSecrets({ cipherKey, maskKey }: Keys): boolean {
  return [cipherKey, maskKey].every((key) => isCanonical(key) && PROBE.agree(hexOf(key)) !== null);
}

/** The neighbour graph is a function of all keys: whoever wants another one must change them. */
export function rosterOf(context: RoundContext, adverts: readonly Advert[], assumed: Assumptions): Roster {
  const listed = adverts.map(({ group, identity, cipherKey, maskKey }) => [
    group,
    hexOf(identity),
    hexOf(cipherKey),
    hexOf(maskKey),
  ]);
  const digest = digestOf({ ...context, assumed, listed });
  const groups = adverts.map(({ group }) => group);
  const plan = graphFor(context, groups.length, assumed);
  return {
    context,
    groups,
    adverts: new Map(adverts.map((advert) => [advert.group, advert])),
    digest,
    plan,
    neighbours: neighboursOf(groups, sha256('pluralllm-mask-v1 beacon', digest), plan),
    quorum: quorumOf(groups.length),
  };
}

function graphFor({ round }: RoundContext, groups: number, assumed: Assumptions): GraphPlan {
  const plan = findGraph(groups, assumed);
  if (plan !== null) return plan;
  throw new PluralError(
    'ROUND_REFUSED',
    `masked round ${round}: there is no neighbour graph for ${groups} groups`,
    {
      hint: 'Fewer groups may be corrupt or lost where there are so many: see protection.corruptShare and dropoutShare.',
    },
  );
}

/** Error for what only a dishonest or a broken aggregator shows. */
export function untrusted({ round }: RoundContext, reason: string): PluralError {
  return new PluralError('AGGREGATOR_UNTRUSTED', `masked round ${round}: ${reason}`, {
    hint: 'Nothing more was sent in this round. Ask the people who run the aggregator.',
  });
}

/** Error for a round that would hide too little. */
export function tooFew({ round }: RoundContext, found: number, least: number, where: string): PluralError {
  return new PluralError(
    'ROUND_REFUSED',
    `masked round ${round}: ${found} groups ${where}, at least ${least} are needed to hide this one's update`,
    { hint: 'Nothing more was sent in this round; it has to be opened again with more groups.' },
  );
}

/** Whether names are in code-unit order without repetition. */
export function isAscending(names: readonly string[]): boolean {
  return names.every((name, index) => index === 0 || names[index - 1]! < name);
}
