import { hexOf } from '../../core/bytes.ts';
import type { RoundContext } from '../protection.ts';
import { type KeyPair, keyPairOf } from '../secure-sum/key-agreement.ts';
import { keyFor } from '../secure-sum/keys.ts';
import type { Roster } from './roster.ts';

/** The two key pairs of a group in one attempt; from its secret, so that a restart finds the same. */
export function keyPairsOf(secret: Uint8Array, context: RoundContext): { cipher: KeyPair; mask: KeyPair } {
  const pair = (purpose: string) => keyPairOf(keyFor(secret, purpose, context));
  return { cipher: pair('cipher key'), mask: pair('mask key') };
}

/** 32 bytes: the secret part of the pair that pairwise masks come from. It is shared among the neighbours. */
export function maskSecretOf(secret: Uint8Array, context: RoundContext): Uint8Array {
  return keyFor(secret, 'mask key', context);
}

/** 32 bytes that the self mask comes from. They are shared among the neighbours. */
export function selfSecretOf(secret: Uint8Array, { digest }: Roster): Uint8Array {
  return keyFor(secret, 'self mask secret', { digest });
}

/** The random coefficients of the polynomials that secrets are shared with. */
export function coefficientsOf(
  secret: Uint8Array,
  what: 'self' | 'mask',
  { digest, plan }: Roster,
): Uint8Array {
  return keyFor(secret, 'coefficients', { what, digest }, 32 * (plan.threshold - 1));
}

/** Key of the noise that a group adds. */
export function noiseKey(secret: Uint8Array, { digest }: Roster): Uint8Array {
  return keyFor(secret, 'noise', { digest });
}

/** Key of the self mask. */
export function selfMaskKey(selfSecret: Uint8Array, { digest }: Roster, group: string): Uint8Array {
  return keyFor(selfSecret, 'self mask', { digest, group });
}

/** Key of the mask that a pair shares: one of them adds it, the other takes it off. Null for a bad key. */
export function pairMaskKey(
  own: KeyPair,
  { digest, adverts }: Roster,
  pair: readonly [string, string],
  other: string,
) {
  const agreed = own.agree(hexOf(adverts.get(other)!.maskKey));
  return agreed === null ? null : keyFor(agreed, 'pair mask', { digest, pair: [...pair].sort() });
}

/** +1 for who adds the mask of a pair. */
export function pairSign(group: string, other: string): 1 | -1 {
  return group < other ? 1 : -1;
}
