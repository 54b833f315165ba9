import { decode, encode, type Token, Tokenizer } from 'cborg';
import type { z } from 'zod';

/**
 * Reads no more items than a message has: a few megabytes of empty maps would become gigabytes of objects before
 * anything else could refuse them.
 */
class FewItems extends Tokenizer {
  readonly #most: number;
  #left: number;

  constructor(bytes: Uint8Array, options: object, most: number) {
    super(bytes, options);
    this.#most = most;
    this.#left = most;
  }

  override next(): Token {
    if (this.#left-- === 0) throw new Error(`it has more than ${this.#most} items`);
    return super.next();
  }
}

/** Decodes strict CBOR of at most `mostItems` items, each map and list and each of their members counted. Throws. */
export function decodeItems(bytes: Uint8Array, mostItems: number): unknown {
  const options = { strict: true, rejectDuplicateMapKeys: true, allowIndefinite: false };
  return decode(bytes, { ...options, tokenizer: new FewItems(bytes, options, mostItems) });
}

/** CBOR with the deterministic encoding of RFC 8949: equal values give equal bytes. */
export function encodeCbor(value: unknown): Uint8Array {
  return encode(value);
}

/**
 * Reads a message by its schema; null for anything that `encodeCbor` would not have written for what the schema takes:
 * a message has one encoding.
 */
export function readCbor<Schema extends z.ZodType>(
  bytes: Uint8Array,
  schema: Schema,
  mostItems: number,
): z.output<Schema> | null {
  // Of a plain array the decoder copies byte strings; of a Buffer it would lend its memory.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const parsed = schema.safeParse(decodeItems(plain, mostItems));
    if (!parsed.success) return null;
    return Buffer.compare(encode(parsed.data), plain) === 0 ? parsed.data : null;
  } catch {
    return null;
  }
}
