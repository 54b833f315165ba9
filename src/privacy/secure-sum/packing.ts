import { invariant } from '../../core/errors.ts';

const WORD_BITS = 32;

/** Bytes of `count` packed words of `bits` bits each. */
export function packedBytes(count: number, bits: number): number {
  invariant(Number.isInteger(bits) && bits >= 1 && bits <= WORD_BITS, `words of ${bits} bits`);
  invariant(
    Number.isInteger(count) && count >= 0 && Number.isSafeInteger(count * bits),
    `${count} words of ${bits} bits`,
  );
  return Math.ceil((count * bits) / 8);
}

/** The low `bits` bits set, as a signed 32-bit number. */
function maskOf(bits: number): number {
  return -1 >>> (WORD_BITS - bits);
}

/**
 * Packs the low `bits` bits (1..32) of each word without gaps: bit j of word i is bit i * bits + j of the result,
 * counted from the lowest bit of the first byte; the rest of the last byte is zero. `packedBytes` says how long it is.
 */
export function packWords(words: Uint32Array, bits: number): Uint8Array {
  const length = packedBytes(words.length, bits);
  // Written 32 bits at a time, in the byte order of the host, which is little-endian wherever this runs.
  const packed = new Uint32Array(Math.ceil(length / 4));
  const mask = maskOf(bits);
  let pending = 0;
  let filled = 0;
  let at = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]! & mask;
    pending |= word << filled;
    filled += bits;
    if (filled >= WORD_BITS) {
      packed[at++] = pending;
      filled -= WORD_BITS;
      // A shift by 32 would be one by 0.
      pending = filled === 0 ? 0 : word >>> (bits - filled);
    }
  }
  if (filled > 0) packed[at] = pending;
  return new Uint8Array(packed.buffer, 0, length);
}

/**
 * Whether `packWords` packs some `count` words to these bytes: not where the number is another, or a bit is set behind the last
 * word. A content has one encoding.
 */
export function isPacked(bytes: Uint8Array, count: number, bits: number): boolean {
  const length = packedBytes(count, bits);
  if (bytes.length !== length) return false;
  const padding = 8 * length - count * bits;
  return padding === 0 || bytes[length - 1]! >>> (8 - padding) === 0;
}

/** Reads bytes as little-endian 32-bit numbers, from wherever they start; behind the end there are zeros. */
function numbersOf(bytes: Uint8Array): (at: number) => number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const whole = bytes.length >> 2;
  let last = 0;
  for (let i = bytes.length & 3; i > 0; i--) last = (last << 8) | bytes[4 * whole + i - 1]!;
  return (at) => (at < whole ? view.getInt32(4 * at, true) : last);
}

/** Adds the words that were packed to `bytes` to a sum, modulo 2^32, in place. The bytes must be packed words, as many. */
export function addPacked(sum: Uint32Array, bytes: Uint8Array, bits: number): void {
  invariant(isPacked(bytes, sum.length, bits), 'packed words');
  // As signed words: sums modulo 2^32 are the same, and quicker.
  const words = new Int32Array(sum.buffer, sum.byteOffset, sum.length);
  const numberAt = numbersOf(bytes);
  const mask = maskOf(bits);
  let at = 0;
  let shift = 0;
  let now = numberAt(0);
  for (let i = 0; i < words.length; i++) {
    let word = now >>> shift;
    shift += bits;
    if (shift >= WORD_BITS) {
      now = numberAt(++at);
      shift -= WORD_BITS;
      if (shift > 0) word |= now << (bits - shift);
    }
    words[i] = (words[i]! + (word & mask)) | 0;
  }
}

/** The `count` words that `packWords` packed; `bytes` may start anywhere in its buffer. Null where there are none. */
export function unpackWords(bytes: Uint8Array, count: number, bits: number): Uint32Array | null {
  if (!isPacked(bytes, count, bits)) return null;
  const words = new Uint32Array(count);
  addPacked(words, bytes, bits);
  return words;
}
