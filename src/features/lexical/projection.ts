import { createHash } from 'node:crypto';
import { bigramsOf, wordsOf } from './terms.ts';

/** One sign per bit of a SHA-256 digest. */
export const MAX_PROJECTION = 256;

function signsOf(bigram: string, width: number, seed: number): Int8Array {
  const hash = createHash('sha256')
    .update(JSON.stringify([seed, bigram]))
    .digest();
  return Int8Array.from({ length: width }, (_, i) => ((hash[i >> 3]! >> (i & 7)) & 1 ? 1 : -1));
}

/**
 * Random projection of the hashed word pairs of each text, shape [texts][width]: keeps texts apart that share all
 * frequent terms, because rare pairs count as much as frequent ones.
 */
export function projectTexts(texts: readonly string[], width: number, seed: number): Float64Array[] {
  const known = new Map<string, Int8Array>();
  return texts.map((text) => {
    const bigrams = bigramsOf(wordsOf(text), { boundaries: true });
    const sum = new Float64Array(width);
    for (const bigram of bigrams) {
      const signs = known.get(bigram) ?? signsOf(bigram, width, seed);
      known.set(bigram, signs);
      for (let i = 0; i < width; i++) sum[i]! += signs[i]!;
    }
    return sum.map((value) => value / Math.sqrt(bigrams.length));
  });
}
