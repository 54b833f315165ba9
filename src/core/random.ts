import { createHash } from 'node:crypto';
import { invariant } from './errors.ts';

/**
 * Counter-based randomness: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 * A stream is a function of (seed, path) alone, so that work can be done in any order and on any worker.
 * It is for experiments only: nothing secret is ever drawn from it.
 */

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** High 32 bits of a 32 x 32 bit product, from four 16-bit products (each below 2^32, so exact in a double). */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = (middle & 0xffff) + aLow * bHigh;
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}

/** One Philox4x32-10 block: 4 counter words and 2 key words to 4 random words. */
export function philox(counter: readonly number[], key: readonly number[]): [number, number, number, number] {
  let [c0 = 0, c1 = 0, c2 = 0, c3 = 0] = counter;
  let [k0 = 0, k1 = 0] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = mulHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const high1 = mulHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + WEYL_0) | 0;
    k1 = (k1 + WEYL_1) | 0;
  }
  return [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
}

export interface RandomStream {
  /** A uniform 32-bit word. */
  uint32(): number;
  /** A uniform double in [0, 1) with 53 random bits. */
  uniform(): number;
  /** A standard normal deviate (Box-Muller). */
  normal(): number;
  /** A uniform integer in [0, bound), without modulo bias. `bound` at most 2^32. */
  below(bound: number): number;
  /** A new array with the items in random order (Fisher-Yates). */
  shuffled<T>(items: readonly T[]): T[];
}

/**
 * The stream that belongs to a seed and a path, e.g. `randomStream(seed, 'round', 3, 'group', 'Kenya')`.
 * Key and high counter words come from SHA-256 of the path, so streams of different paths do not overlap.
 */
export function randomStream(seed: number, ...path: readonly (string | number)[]): RandomStream {
  const hash = createHash('sha256')
    .update(JSON.stringify([seed, ...path]))
    .digest();
  const key = [hash.readUInt32LE(0), hash.readUInt32LE(4)];
  const high = [hash.readUInt32LE(8), hash.readUInt32LE(12)];
  let block = 0;
  let words: readonly number[] = [];
  let used = 4;

  const uint32 = (): number => {
    if (used === 4) {
      // The low 64 bits of the counter: more blocks than a run can draw.
      words = philox([block >>> 0, Math.floor(block / 2 ** 32), high[0]!, high[1]!], key);
      block++;
      used = 0;
    }
    return words[used++]!;
  };
  const uniform = (): number => ((uint32() >>> 5) * 0x4000000 + (uint32() >>> 6)) / 2 ** 53;
  const below = (bound: number): number => {
    invariant(Number.isInteger(bound) && bound >= 1 && bound <= 2 ** 32, `below(${bound})`);
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let word = uint32();
    while (word >= limit) word = uint32();
    return word % bound;
  };
  let spare: number | undefined;
  const normal = (): number => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  const shuffled = <T>(items: readonly T[]): T[] => {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = below(i + 1);
      [result[i], result[j]] = [result[j]!, result[i]!];
    }
    return result;
  };
  return { uint32, uniform, normal, below, shuffled };
}
