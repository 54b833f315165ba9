import { hexOf } from '../../core/bytes.ts';
import { digestOf } from '../../core/digest.ts';
import type { RoundContext } from '../protection.ts';
import { deriveKey, type KeyPair, keyPairOf } from '../secure-sum/key-agreement.ts';
import type { Roster } from './roster.ts';

/**
 * All keys of a round are derived for one purpose, one attempt, and one set of groups and keys. What they are bound to goes in
 * as a digest: node:crypto takes 1,024 bytes, and two names of groups may be longer.
 */
function infoOf(purpose: string, bound: object): string {
  return `${purpose}\n${digestOf(bound)}`;
}

/** The two key pairs of a group in one attempt; from its secret, so that a restart finds the same. */
export function keyPairsOf(secret: Uint8Array, context: RoundContext): { cipher: KeyPair; mask: KeyPair } {
  const pair = (purpose: string) => keyPairOf(secretOf(secret, purpose, context));
  return { cipher: pair('cipher key'), mask: pair('mask key') };
}

/** 32 bytes: the secret part of the pair that pairwise masks come from. It is shared among the neighbours. */
export function maskSecretOf(secret: Uint8Array, context: RoundContext): Uint8Array {
  return secretOf(secret, 'mask key', context);
}

function secretOf(secret: Uint8Array, purpose: string, context: RoundContext): Uint8Array {
  return deriveKey(secret, infoOf(purpose, context));
}

/** 32 bytes that the self mask comes from. They are shared among the neighbours. */
export function selfSecretOf(secret: Uint8Array, { digest }: Roster): Uint8Array {
  return deriveKey(secret, infoOf('self mask secret', { digest }));
}

/** The random coefficients of the polynomials that secrets are shared with. */
export function coefficientsOf(
  secret: Uint8Array,
  what: 'self' | 'mask',
  { digest, plan }: Roster,
): Uint8Array {
  return deriveKey(secret, infoOf('coefficients', { what, digest }), 32 * (plan.threshold - 1));
}

/** Key of the noise that a group adds. */
export function noiseKey(secret: Uint8Array, { digest }: Roster): Uint8Array {
  return deriveKey(secret, infoOf('noise', { digest }));
}

/** Key of the self mask. */
export function selfMaskKey(selfSecret: Uint8Array, { digest }: Roster, group: string): Uint8Array {
  return deriveKey(selfSecret, infoOf('self mask', { digest, group }));
}

/** Key of the mask that a pair shares: one of them adds it, the other takes it off. Null for a bad key. */
export function pairMaskKey(
  own: KeyPair,
  { digest, adverts }: Roster,
  pair: readonly [string, string],
  other: string,
) {
  const agreed = own.agree(hexOf(adverts.get(other)!.maskKey));
  return agreed === null ? null : deriveKey(agreed, infoOf('pair mask', { digest, pair: [...pair].sort() }));
}

/** +1 for who adds the mask of a pair. */
export function pairSign(group: string, other: string): 1 | -1 {
  return group < other ? 1 : -1;
}

/** Key that seals the shares of one for another: one message. Null for a bad key. */
export function sealKey(
  own: KeyPair,
  { digest, adverts }: Roster,
  route: { from: string; to: string },
  other: string,
) {
  const agreed = own.agree(hexOf(adverts.get(other)!.cipherKey));
  return agreed === null ? null : deriveKey(agreed, infoOf('sealed shares', { digest, ...route }));
}
