import { createCipheriv } from 'node:crypto';
import { bytesFrom } from '../../core/bytes.ts';
import { sha256 } from '../../core/digest.ts';
import { invariant } from '../../core/errors.ts';

export const KEY_BYTES = 32;

/** Words of one piece: 16 KiB stay in the cache until they are used. */
export const PIECE_WORDS = 4096;
const ZEROS = new Uint8Array(4 * PIECE_WORDS);
/** A key has one stream only, so its counter starts at zero. */
const FIRST_COUNTER = new Uint8Array(16);

/** The keystream as words; copied only if it does not start at a multiple of four bytes, which node:crypto never said. */
function wordsOf(stream: Buffer): Uint32Array {
  const aligned = stream.byteOffset % 4 === 0 ? stream : new Uint8Array(stream);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, stream.length / 4);
}

/**
 * The AES-256-CTR keystream of a key of 32 bytes, from counter zero (NIST SP 800-38A, section 6.5), as little-endian words:
 * each call gives the next PIECE_WORDS of them. A key must serve for one thing only.
 */
export function keystream(key: Uint8Array): () => Uint32Array {
  invariant(key.length === KEY_BYTES, `a key of ${key.length} bytes`);
  const cipher = createCipheriv('aes-256-ctr', key, FIRST_COUNTER);
  return () => wordsOf(cipher.update(ZEROS));
}

/** Key number `index` of those that belong to a key or seed of 32 bytes and a label: SHA-256 over label, key and index. */
export function derivedKey(label: string, key: Uint8Array, index: number): Uint8Array {
  invariant(key.length === KEY_BYTES, `a key of ${key.length} bytes`);
  return bytesFrom(sha256(`pluralllm-seal-v1 ${label}\n`, key, `\n${index}`));
}
