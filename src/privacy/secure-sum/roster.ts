import { hexOf } from '../../core/bytes.ts';
import { digestOf } from '../../core/digest.ts';
import { PluralError } from '../../core/errors.ts';
import { isSignedBy } from '../../wire/identity.ts';
import { quorumOf } from '../../wire/step.ts';
import type { RoundContext } from '../protection.ts';
import { keyPairOf } from './key-agreement.ts';
import type { Advert, Keys, SumProtocol } from './protocol.ts';

/** The groups of one attempt of a round with their keys: what everybody computes alike. */
export interface Roster<Name extends string = string> {
  readonly context: RoundContext;
  /** In code-unit order. */
  readonly groups: readonly string[];
  readonly adverts: ReadonlyMap<string, Advert<Name>>;
  /** SHA-256 of context and keys; every key and every statement of the attempt is bound to it. */
  readonly digest: string;
  /** Fewest groups of a later step: more than two thirds of these, so that two such sets share an honest group. */
  readonly quorum: number;
}

/** `bound`: what else the digest covers. */
export function rosterOf<Name extends string>(
  { names }: SumProtocol<Name>,
  context: RoundContext,
  adverts: readonly Advert<Name>[],
  bound: object,
): Roster<Name> {
  const listed = adverts.map((advert) => [
    advert.group,
    hexOf(advert.identity),
    ...names.map((name) => hexOf(advert[name])),
  ]);
  const groups = adverts.map(({ group }) => group);
  return {
    context,
    groups,
    adverts: new Map(adverts.map((advert) => [advert.group, advert])),
    digest: digestOf({ ...context, ...bound, listed }),
    quorum: quorumOf(groups.length),
  };
}

/** Whether the identity among the keys signed them, for this attempt of this round. */
export function areSigned<Name extends string>(
  { keysStatement }: SumProtocol<Name>,
  context: RoundContext,
  group: string,
  keys: Keys<Name>,
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

/** Whether a key gives a secret with any other: points of small order do not. */
export function givesSecrets(key: Uint8Array): boolean {
  return isCanonical(key) && PROBE.agree(hexOf(key)) !== null;
}

/** Error for what only a dishonest or a broken aggregator shows. */
export function untrusted({ round }: RoundContext, reason: string): PluralError {
  return new PluralError('AGGREGATOR_UNTRUSTED', `round ${round}: ${reason}`, {
    hint: 'Nothing more was sent in this round. Ask the people who run the aggregator.',
  });
}

/** Error for a round that would hide too little. */
export function tooFew({ round }: RoundContext, found: number, least: number, where: string): PluralError {
  return new PluralError(
    'ROUND_REFUSED',
    `round ${round}: ${found} groups ${where}, at least ${least} are needed to hide this one's update`,
    { hint: 'Nothing more was sent in this round; it has to be opened again with more groups.' },
  );
}

/** Whether names are in code-unit order without repetition. */
export function isAscending(names: readonly string[]): boolean {
  return names.every((name, index) => index === 0 || names[index - 1]! < name);
}
