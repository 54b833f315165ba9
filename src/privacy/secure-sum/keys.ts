import { hexOf } from '../../core/bytes.ts';
import { digestOf } from '../../core/digest.ts';
import { deriveKey, type KeyPair } from './key-agreement.ts';
import type { Roster } from './roster.ts';

/**
 * A key of a round, 32 bytes unless said: derived for one purpose, one attempt, and one set of groups and keys. What it is bound to goes in
 * as a digest: node:crypto takes 1,024 bytes, and two names of groups may be longer.
 */
export function keyFor(secret: Uint8Array, purpose: string, bound: object, bytes?: number): Uint8Array {
  return deriveKey(secret, `${purpose}\n${digestOf(bound)}`, bytes);
}

/** Key that seals the shares of one for another: one message. Null for a bad key. */
export function sealKey(
  own: KeyPair,
  { digest, adverts }: Roster<'cipherKey'>,
  route: { from: string; to: string },
  other: string,
): Uint8Array | null {
  const agreed = own.agree(hexOf(adverts.get(other)!.cipherKey));
  return agreed === null ? null : keyFor(agreed, 'sealed shares', { digest, ...route });
}
