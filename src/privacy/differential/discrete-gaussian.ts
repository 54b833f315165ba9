import { invariant } from '../../core/errors.ts';
import {
  bernoulliExp,
  bufferedWords,
  type Fraction,
  type RandomBytes,
  type RandomWords,
} from './bernoulli-exp.ts';

/**
 * The discrete Gaussian N_Z(0, sigma^2): the integers with probabilities proportional to e^(-x^2 / (2 sigma^2)).
 * Canonne, Kamath, Steinke, "The discrete Gaussian for differential privacy", 2020.
 */

/** At it a sample differs from 0 with a probability of e^-512: less noise than that is none. */
const SMALLEST_SIGMA = 2 ** -5;
/** Within it a sample leaves 32 bits with a probability below e^-8000. */
const LARGEST_SIGMA = 2 ** 24;
/** Words that one sample takes on average at the worst sigma, rounded up. */
const WORDS_PER_SAMPLE = 12;
const MOST_BUFFERED_WORDS = 2 ** 14;

/** sigma^2 exactly: a double is an integer over a power of two. */
function exactSquare(sigma: number): Fraction {
  let mantissa = sigma;
  let denominator = 1n;
  for (; !Number.isInteger(mantissa); mantissa *= 2) denominator *= 4n;
  return { numerator: BigInt(mantissa) ** 2n, denominator };
}

const one = (): Fraction => ({ numerator: 1n, denominator: 1n });

/** Draws one integer from a discrete Laplace distribution of scale t; with t = 1 + floor(sigma). */
function laplaceSampler(t: number, words: RandomWords): () => number {
  const overT = (u: number): Fraction => ({ numerator: BigInt(u), denominator: BigInt(t) });
  // The remainder comes from the top bits of a word and the sign from its bottom bit: t <= 2^24 + 1 keeps them apart.
  const shift = Math.clz32(t - 1);
  return () => {
    for (;;) {
      const word = words();
      const remainder = shift === 32 ? 0 : word >>> shift;
      if (remainder >= t || !bernoulliExp(remainder / t, overT, remainder, words)) continue;
      let quotient = 0;
      while (bernoulliExp(1, one, 1, words)) quotient++;
      const magnitude = remainder + t * quotient;
      if ((word & 1) === 0) return magnitude;
      // Zero has one sign only, or it would be drawn twice as often.
      if (magnitude !== 0) return -magnitude;
    }
  };
}

/**
 * Fills `out` with independent samples of N_Z(0, sigma^2), grid units, by rejection from a discrete Laplace
 * distribution (Algorithm 3). For the double `sigma` and perfect bytes the distribution is exact, as long as
 * `Math.exp` is within 2^-40: no probability is rounded, see `bernoulliExp`. The time depends on the values drawn.
 *
 * `sigma` from 2^-5 to 2^24. Takes about 9 words of 4 bytes for a sample; those left over are thrown away.
 */
export function sampleDiscreteGaussian(out: Int32Array, sigma: number, random: RandomBytes): void {
  invariant(sigma >= SMALLEST_SIGMA && sigma <= LARGEST_SIGMA, `sigma ${sigma}`);
  const words = bufferedWords(random, Math.min(MOST_BUFFERED_WORDS, 16 + WORDS_PER_SAMPLE * out.length));
  const t = Math.floor(sigma) + 1;
  const laplace = laplaceSampler(t, words);
  const variance = sigma * sigma;
  const { numerator, denominator } = exactSquare(sigma);
  const bigT = BigInt(t);
  // (|x| - sigma^2 / t)^2 / (2 sigma^2) with sigma^2 = numerator / denominator, in integers.
  const exact = (magnitude: number): Fraction => ({
    numerator: (BigInt(magnitude) * bigT * denominator - numerator) ** 2n,
    denominator: 2n * numerator * denominator * bigT * bigT,
  });
  for (let i = 0; i < out.length; ) {
    const x = laplace();
    const magnitude = Math.abs(x);
    const distance = magnitude - variance / t;
    if (bernoulliExp((distance * distance) / (2 * variance), exact, magnitude, words)) out[i++] = x;
  }
}
