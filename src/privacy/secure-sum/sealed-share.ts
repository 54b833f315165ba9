import nacl from 'tweetnacl';
import { invariant } from '../../core/errors.ts';

/**
 * A key is derived for one direction of one pair in one attempt of one round and seals exactly one message. So no key
 * meets a nonce twice, and the nonce can be zero. Sealing a second message under a key would give away both.
 */
const NONCE = new Uint8Array(nacl.secretbox.nonceLength);

function checkKey(key: Uint8Array): void {
  invariant(key.length === nacl.secretbox.keyLength, `a key of ${key.length} bytes`);
}

/** Encrypts and authenticates a message (XSalsa20-Poly1305, NaCl's `secretbox`); 16 bytes longer than the message. */
export function seal(key: Uint8Array, message: Uint8Array): Uint8Array {
  checkKey(key);
  return nacl.secretbox(message, NONCE, key);
}

/** The message that was sealed, or null where the key is another one or anything was changed. */
export function openSealed(key: Uint8Array, sealed: Uint8Array): Uint8Array | null {
  checkKey(key);
  return nacl.secretbox.open(sealed, NONCE, key);
}
