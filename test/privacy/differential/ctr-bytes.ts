import { createCipheriv } from 'node:crypto';
import type { RandomBytes } from '../../../src/privacy/differential/bernoulli-exp.ts';

/** The key stream of AES-128 in counter mode: bytes of cryptographic quality that a seed repeats. */
export function ctrBytes(seed: number): RandomBytes {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  return (count) => cipher.update(new Uint8Array(count));
}
