import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as nodeSign,
  verify as nodeVerify,
  randomBytes,
} from 'node:crypto';
import { z } from 'zod';

/**
 * The y coordinates of all points whose order divides 8, in the encodings that node:crypto reads, with the bit of the sign
 * left out. Under such a key one signature fits many messages, and nobody's secret belongs to it.
 */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

function hasSmallOrder(publicKey: string): boolean {
  const last = Number.parseInt(publicKey.slice(-2), 16) & 0x7f;
  return SMALL_ORDER.has(publicKey.slice(0, -2) + last.toString(16).padStart(2, '0'));
}

/** An Ed25519 public key (RFC 8032): 32 bytes as 64 lower-case hex digits. Who has the key, is the identity. */
export const publicKeySchema = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'not a public key: 64 hex digits')
  .refine((key) => !hasSmallOrder(key), 'not a public key: anybody can sign for it');
/** An Ed25519 signature: 64 bytes as 128 lower-case hex digits. */
export const signatureSchema = z.string().regex(/^[0-9a-f]{128}$/, 'not a signature: 128 hex digits');

/** A key pair. The secret never leaves the folder that it is kept in. */
export interface Identity {
  readonly publicKey: string;
  /** Signs bytes; the signature as hex. */
  sign(message: Uint8Array): string;
}

const SEED_BYTES = 32;
/** DER heads of RFC 8410: what node:crypto wants around 32 raw bytes. */
const PRIVATE_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_HEAD = Buffer.from('302a300506032b6570032100', 'hex');

/** A fresh secret of 32 bytes from the system's generator, as hex. */
export function freshSecret(): string {
  return randomBytes(SEED_BYTES).toString('hex');
}

/** The key pair of a secret that `freshSecret` made. */
export function identityOf(secret: string): Identity {
  const key = createPrivateKey({
    key: Buffer.concat([PRIVATE_HEAD, Buffer.from(secret, 'hex')]),
    format: 'der',
    type: 'pkcs8',
  });
  const publicDer = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return {
    publicKey: publicDer.subarray(PUBLIC_HEAD.length).toString('hex'),
    sign: (message) => nodeSign(null, message, key).toString('hex'),
  };
}

/** Reading a key costs as much as checking a signature, and the same groups come again and again. */
const READ_KEYS = new Map<string, KeyObject>();
const MOST_READ_KEYS = 4096;

function keyOf(publicKey: string): KeyObject {
  const known = READ_KEYS.get(publicKey);
  if (known !== undefined) return known;
  const der = Buffer.concat([PUBLIC_HEAD, Buffer.from(publicKey, 'hex')]);
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
  if (READ_KEYS.size >= MOST_READ_KEYS) READ_KEYS.clear();
  READ_KEYS.set(publicKey, key);
  return key;
}

/** Whether the owner of the key signed exactly these bytes. False for anything that is not a key or a signature. */
export function isSignedBy(publicKey: string, message: Uint8Array, signature: string): boolean {
  if (!publicKeySchema.safeParse(publicKey).success || !signatureSchema.safeParse(signature).success)
    return false;
  try {
    return nodeVerify(null, message, keyOf(publicKey), Buffer.from(signature, 'hex'));
  } catch {
    return false;
  }
}
