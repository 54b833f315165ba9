import { createCipheriv, hkdfSync } from 'node:crypto';
import { invariant } from '../../core/errors.ts';
import type { Uniform } from '../../core/exact-normal.ts';
import { haarOrthogonal, turnAxis } from '../../core/orthogonal.ts';
import type { BoundaryAxis } from './boundary-axes.ts';
import type { Floats } from './part-session.ts';

const KEY_BYTES = 32;
/** A key gives one rotation only, so its counter starts at zero. */
const FIRST_COUNTER = new Uint8Array(16);
const PIECE = new Uint8Array(4096);

/**
 * Uniform doubles in [0, 1) with 53 bits from the AES-256-CTR keystream of a key: not from the streams of core/random.ts, which are for
 * experiments and keep 64 bits of a key. Words are read as little-endian on every machine.
 */
export function keyedUniform(key: Uint8Array): Uniform {
  invariant(key.length === KEY_BYTES, `a key of ${key.length} bytes`);
  const cipher = createCipheriv('aes-256-ctr', key, FIRST_COUNTER);
  let piece = Buffer.alloc(0);
  let at = 0;
  return () => {
    if (at === piece.length) {
      piece = cipher.update(PIECE);
      at = 0;
    }
    const high = piece.readUInt32LE(at) >>> 5;
    const low = piece.readUInt32LE(at + 4) >>> 6;
    at += 8;
    return (high * 2 ** 26 + low) / 2 ** 53;
  };
}

/** The rotation [width, width] of a key of 32 bytes, uniform among all: who has the key has the same bits, on any machine. */
export function morphFrom(key: Uint8Array, width: number): Float64Array {
  return haarOrthogonal(width, keyedUniform(key));
}

/** The key of one of the spaces inside a stage, from the stage's own key of the epoch (HKDF-SHA256, RFC 5869). */
export function innerKey(stageKey: Uint8Array, space: number): Uint8Array {
  const info = `pluralllm morph of space ${space}`;
  return new Uint8Array(hkdfSync('sha256', stageKey, new Uint8Array(), info, KEY_BYTES));
}

/** Turns all tensors of a flat vector that touch a space, in place: exits from the right by T, entries from the left by T^-1 = T^T. */
export function turnSpace(
  values: Floats,
  axes: readonly BoundaryAxis[],
  space: number,
  rotation: Float64Array,
): void {
  for (const { entry, axis, space: touched } of axes) {
    if (touched !== space) continue;
    const { offset, size, shape } = entry;
    turnAxis(values.subarray(offset, offset + size), shape, axis, rotation);
  }
}
