import { invariant } from '../../core/errors.ts';

/** The given number of uniform bytes. For noise that protects anyone: of a cryptographic generator. */
export type RandomBytes = (count: number) => Uint8Array;

/** Uniform 32-bit words. */
export type RandomWords = () => number;

/** Words from bytes (little-endian on every platform), fetched `words` at a time. */
export function bufferedWords(random: RandomBytes, words: number): RandomWords {
  let view: DataView = new DataView(new ArrayBuffer(0));
  let offset = 0;
  return () => {
    if (offset === view.byteLength) {
      const bytes = random(4 * words);
      invariant(bytes.length === 4 * words, `${bytes.length} random bytes for ${4 * words}`);
      view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      offset = 0;
    }
    offset += 4;
    return view.getUint32(offset - 4, true);
  };
}

/** An exact number, at least 0. */
export interface Fraction {
  readonly numerator: bigint;
  /** Above 0. */
  readonly denominator: bigint;
}

/** The partial sum to `terms` of the alternating series of e^-x, exactly, by Horner's rule. */
function seriesOfExp({ numerator, denominator }: Fraction, terms: number): Fraction {
  let [above, below] = [1n, 1n];
  for (let k = BigInt(terms); k > 0n; k--) {
    const scaled = below * k * denominator;
    [above, below] = [scaled - numerator * above, scaled];
  }
  return { numerator: above, denominator: below };
}

/**
 * Integers `low` and `high` with low <= e^-x 2^bits <= high. x is halved until it is below 1, where a partial sum
 * that ends on an odd term is a lower bound and one that ends on an even term an upper bound; then squared as often.
 */
export function expBounds(x: Fraction, bits: number): { low: bigint; high: bigint } {
  let halvings = 0;
  let { denominator } = x;
  for (; denominator <= x.numerator; denominator *= 2n) halvings++;
  const scaled = { numerator: x.numerator, denominator };
  const terms = bits / 2 + 1;
  const lower = seriesOfExp(scaled, terms);
  const upper = seriesOfExp(scaled, terms + 1);
  const precision = BigInt(bits);
  let low = (lower.numerator << precision) / lower.denominator;
  let high = (upper.numerator << precision) / upper.denominator + 1n;
  for (; halvings > 0; halvings--) {
    low = (low * low) >> precision;
    high = ((high * high) >> precision) + 1n;
  }
  return { low, high };
}

/**
 * Whether a uniform number is below e^-x, where `word` are its first 32 bits: more of them are drawn until the
 * answer is certain, so that the probability is e^-x exactly.
 */
export function isBelowExp(word: number, x: Fraction, words: RandomWords): boolean {
  let uniform = BigInt(word);
  for (let bits = 32; ; bits += 32) {
    const { low, high } = expBounds(x, bits);
    if (uniform + 1n <= low) return true;
    if (uniform >= high) return false;
    uniform = (uniform << 32n) | BigInt(words());
  }
}

const WORD = 2 ** 32;
/** In units of the last bit of a word: 2^-40. The doubles' error is below 2^-48, so the fast answers are certain. */
const DOUBT = 2 ** -8;

/**
 * True with probability e^-gamma. `gamma` is a double that gives e^-gamma to 2^-48; `exact(argument)` is what it
 * stands for. One draw in 2^32 is too near to the bound for doubles and is settled by `isBelowExp`.
 */
export function bernoulliExp(
  gamma: number,
  exact: (argument: number) => Fraction,
  argument: number,
  words: RandomWords,
): boolean {
  const word = words();
  const bound = Math.exp(-gamma) * WORD;
  if (word + 1 + DOUBT <= bound) return true;
  if (word - DOUBT >= bound) return false;
  return isBelowExp(word, exact(argument), words);
}
