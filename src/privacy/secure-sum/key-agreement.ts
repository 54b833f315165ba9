import { createPrivateKey, createPublicKey, diffieHellman, hkdfSync, type KeyObject } from 'node:crypto';
import { invariant } from '../../core/errors.ts';

const KEY_BYTES = 32;
/** Keeps the keys of masks apart from whatever else may be derived from the same agreement. */
const SALT = 'pluralllm-mask-v1';
/** What node:crypto takes. */
const MOST_INFO_BYTES = 1024;

/** An X25519 key pair (RFC 7748), made for one round. */
export interface KeyPair {
  /** 32 bytes as 64 lower-case hex digits. */
  readonly publicKey: string;
  /**
   * The 32 bytes that both sides come to. Null for what is no key, and for a key of small order, under which everybody
   * comes to zero. Not a key yet: see `deriveKey`.
   */
  agree(theirPublicKey: string): Uint8Array | null;
}

function privateKeyOf(secret: Uint8Array): KeyObject {
  invariant(secret.length === KEY_BYTES, `a secret of ${secret.length} bytes`);
  const d = Buffer.from(secret).toString('base64url');
  // node:crypto derives the public key anew, whatever x says.
  return createPrivateKey({ key: { kty: 'OKP', crv: 'X25519', d, x: '' }, format: 'jwk' });
}

// All keys go in and out as JWK (RFC 8037), which takes a tenth of the time of DER.

function publicHexOf(privateKey: KeyObject): string {
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  invariant(x !== undefined, 'an X25519 key has x');
  return Buffer.from(x, 'base64url').toString('hex');
}

function sharedSecret(privateKey: KeyObject, publicKey: string): Uint8Array | null {
  if (!/^[0-9a-f]{64}$/.test(publicKey)) return null;
  const x = Buffer.from(publicKey, 'hex').toString('base64url');
  try {
    const theirs = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' });
    const shared = diffieHellman({ privateKey, publicKey: theirs });
    return shared.some((byte) => byte !== 0) ? new Uint8Array(shared) : null;
  } catch {
    // OpenSSL refuses to come to zero (RFC 7748, section 6.1).
    return null;
  }
}

/** The key pair of a secret of 32 random bytes. */
export function keyPairOf(secret: Uint8Array): KeyPair {
  const privateKey = privateKeyOf(secret);
  return {
    publicKey: publicHexOf(privateKey),
    agree: (theirPublicKey) => sharedSecret(privateKey, theirPublicKey),
  };
}

/** The public key that belongs to a secret: shows whether a rebuilt secret is the one that was shared. */
export function publicOf(secret: Uint8Array): string {
  return publicHexOf(privateKeyOf(secret));
}

/**
 * A key of `bytes` bytes for one use: HKDF-SHA256 (RFC 5869) under the salt of this protocol. `info`, at most 1,024
 * bytes, says which use: run, round, attempt, both public keys, purpose.
 */
export function deriveKey(shared: Uint8Array, info: string | Uint8Array, bytes = KEY_BYTES): Uint8Array {
  invariant(Buffer.byteLength(info) <= MOST_INFO_BYTES, 'info of a key of more than 1024 bytes');
  // Newer versions of OpenSSL derive no nothing.
  return bytes === 0 ? new Uint8Array() : new Uint8Array(hkdfSync('sha256', shared, SALT, info, bytes));
}
