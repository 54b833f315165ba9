import { createCipheriv } from 'node:crypto';
import { endianness } from 'node:os';
import { invariant } from '../../core/errors.ts';
import { giveBack } from '../../core/give-back.ts';

const KEY_BYTES = 32;
/** A key expands to one mask only, so its counter starts at zero. */
const FIRST_COUNTER = new Uint8Array(16);
/**
 * Bytes of a piece. Small, so that what the cipher returns stays in the cache until it is added; and such that the allocator serves the
 * next piece from what the last ones left, for a page fault for each fresh page costs more than the cipher. Where pieces can be given
 * back at once, 64 KiB do; where they wait for the collector, larger ones go back to the system in the meantime.
 */
const ZEROS = new Uint8Array((giveBack === null ? 16 : 64) * 1024);

/** The keystream as words; copied only if it does not start at a multiple of four bytes, which node:crypto never said. */
function wordsOf(stream: Buffer): Int32Array {
  const aligned = stream.byteOffset % 4 === 0 ? stream : new Uint8Array(stream);
  return new Int32Array(aligned.buffer, aligned.byteOffset, stream.length / 4);
}

function addWords(sum: Int32Array, words: Int32Array, at: number): void {
  for (let i = 0; i < words.length; i++) sum[at + i] = (sum[at + i]! + words[i]!) | 0;
}

function subtractWords(sum: Int32Array, words: Int32Array, at: number): void {
  for (let i = 0; i < words.length; i++) sum[at + i] = (sum[at + i]! - words[i]!) | 0;
}

/**
 * Adds (1) or subtracts (-1) the mask of a key of 32 bytes, modulo 2^32, in place. The mask is the AES-256-CTR keystream
 * from counter zero (NIST SP 800-38A, section 6.5), read as little-endian words. A key must serve for one mask only.
 */
export function addMask(sum: Uint32Array, key: Uint8Array, sign: 1 | -1): void {
  invariant(key.length === KEY_BYTES, `a key of ${key.length} bytes`);
  invariant(
    endianness() === 'LE',
    'masks are read in the byte order of the host, which must be little-endian',
  );
  const cipher = createCipheriv('aes-256-ctr', key, FIRST_COUNTER);
  // The same memory as signed words: sums modulo 2^32 are the same, and quicker.
  const signed = new Int32Array(sum.buffer, sum.byteOffset, sum.length);
  const add = sign === 1 ? addWords : subtractWords;
  for (let at = 0; at < sum.length; at += ZEROS.length / 4) {
    const rest = (sum.length - at) * 4;
    const stream = cipher.update(rest < ZEROS.length ? ZEROS.subarray(0, rest) : ZEROS);
    add(signed, wordsOf(stream), at);
    // Only what has its memory for itself.
    if (stream.buffer.byteLength === stream.length) giveBack?.(stream.buffer);
  }
}
