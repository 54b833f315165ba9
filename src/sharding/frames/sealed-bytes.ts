import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
/** Drawn at random: after 2^32 messages under a key, two of them meet with a chance of 2^-33 (NIST SP 800-38D). No key here seals nearly as many. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** By how many bytes what is sealed is longer. */
export const SEAL_BYTES = NONCE_BYTES + TAG_BYTES;

/** Seals bytes under a key of 32 bytes, AES-256-GCM with `bound` as additional data: nonce, bytes, tag. */
export function sealBytes(key: Uint8Array, clear: Uint8Array, bound: Uint8Array): Uint8Array<ArrayBuffer> {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce);
  cipher.setAAD(bound);
  const body = [cipher.update(clear), cipher.final()];
  return new Uint8Array(Buffer.concat([nonce, ...body, cipher.getAuthTag()]));
}

/** What was sealed; null where key or `bound` are others, or anything was changed. */
export function unsealBytes(
  key: Uint8Array,
  sealed: Uint8Array,
  bound: Uint8Array,
): Uint8Array<ArrayBuffer> | null {
  if (sealed.byteLength < SEAL_BYTES) return null;
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(bound);
  decipher.setAuthTag(sealed.subarray(sealed.byteLength - TAG_BYTES));
  // In this mode all of it comes at once, and nothing of it counts before the tag was checked.
  const clear = decipher.update(sealed.subarray(NONCE_BYTES, sealed.byteLength - TAG_BYTES));
  try {
    decipher.final();
    return new Uint8Array(clear);
  } catch {
    return null;
  } finally {
    clear.fill(0);
  }
}
