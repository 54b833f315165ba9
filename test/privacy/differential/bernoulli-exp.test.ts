import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bernoulliExp,
  bufferedWords,
  expBounds,
  type Fraction,
  isBelowExp,
} from '../../../src/privacy/differential/bernoulli-exp.ts';
import { ctrBytes } from './ctr-bytes.ts';

const fraction = (numerator: number, denominator: number): Fraction => ({
  numerator: BigInt(numerator),
  denominator: BigInt(denominator),
});
const ONE = fraction(1, 1);

/** Words of a list, and none after it. */
function listedWords(...words: number[]): () => number {
  return () => {
    const word = words.shift();
    if (word === undefined) throw new Error('no more words were expected');
    return word;
  };
}

const noWords = listedWords();

describe('bufferedWords', () => {
  test('are the bytes in little-endian order, fetched in blocks', () => {
    const asked: number[] = [];
    const bytes = (count: number) => {
      asked.push(count);
      return Uint8Array.from({ length: count }, (_, index) => index + 100 * (asked.length - 1));
    };
    const words = bufferedWords(bytes, 2);
    expect([words(), words(), words()]).toEqual([0x03020100, 0x07060504, 0x67666564]);
    expect(asked).toEqual([8, 8]);
  });

  test('refuse a source that gives less than was asked for', () => {
    const words = bufferedWords(() => new Uint8Array(3), 1);
    expect(words).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });
});

describe('expBounds', () => {
  test('of 1 has the published digits of 1/e', () => {
    const digits = 367879441171442321595523770161460867445811131031767834507836n; // OEIS A068985
    const { low, high } = expBounds(ONE, 160);
    const scaled = (digits << 160n) / 10n ** 60n;
    expect(low <= scaled && scaled <= high).toBe(true);
    expect(high - low).toBeLessThan(16n);
  });

  test('hold the exponential between them, closer with more bits', () => {
    fc.assert(
      fc.property(fc.nat(1e6), fc.integer({ min: 1, max: 1e5 }), (numerator, denominator) => {
        const x = fraction(numerator, denominator);
        const coarse = expBounds(x, 64);
        const fine = expBounds(x, 128);
        expect(Number(coarse.low) / 2 ** 64).toBeLessThanOrEqual(Math.exp(-numerator / denominator) + 1e-15);
        expect(Number(coarse.high) / 2 ** 64).toBeGreaterThanOrEqual(
          Math.exp(-numerator / denominator) - 1e-15,
        );
        expect(coarse.low << 64n).toBeLessThanOrEqual(fine.high);
        expect(coarse.high << 64n).toBeGreaterThanOrEqual(fine.low);
        // A halving is undone by a squaring, which at most doubles the distance.
        expect(coarse.high - coarse.low).toBeLessThan(2n ** 26n);
      }),
    );
  });

  test('of 0 are 1', () => {
    expect(expBounds(fraction(0, 1), 64).low).toBe(2n ** 64n);
  });
});

describe('isBelowExp', () => {
  // 2^32 / e = 1580030168.70...
  const AT_BOUND = 1_580_030_168;

  test('needs one word where it is off the bound', () => {
    expect(isBelowExp(AT_BOUND - 2, ONE, noWords)).toBe(true);
    expect(isBelowExp(AT_BOUND + 2, ONE, noWords)).toBe(false);
  });

  test('takes more words at the bound, as many as it needs', () => {
    expect(isBelowExp(AT_BOUND, ONE, listedWords(0))).toBe(true);
    expect(isBelowExp(AT_BOUND, ONE, listedWords(0xffffffff))).toBe(false);
    // The next 32 bits of 1/e, which leave it open for yet another word.
    const next = Number(expBounds(ONE, 96).low >> 32n) % 2 ** 32;
    expect(next / 2 ** 32).toBeCloseTo(0.7, 1);
    const bits = expBounds(ONE, 128).low >> 64n;
    const second = Number(bits & 0xffffffffn);
    expect(isBelowExp(AT_BOUND, ONE, listedWords(second, 0))).toBe(true);
    expect(isBelowExp(AT_BOUND, ONE, listedWords(second, 0xffffffff))).toBe(false);
  });

  test('knows 1 and probabilities far below a word', () => {
    expect(isBelowExp(0xffffffff, fraction(0, 1), noWords)).toBe(true);
    expect(isBelowExp(1, fraction(5000, 1), noWords)).toBe(false);
    expect(isBelowExp(0, fraction(5000, 1), listedWords(1))).toBe(false);
  });
});

describe('bernoulliExp', () => {
  test('decides by doubles as the exact comparison does', () => {
    const word = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(word, fc.nat(30_000), fc.integer({ min: 1, max: 3000 }), (word, numerator, denominator) => {
        const exact = () => fraction(numerator, denominator);
        const fast = bernoulliExp(numerator / denominator, exact, 0, listedWords(word, 7, 7));
        expect(fast).toBe(isBelowExp(word, exact(), listedWords(7, 7)));
      }),
      { numRuns: 1000 },
    );
  });

  test('asks for the exact number only next to the bound', () => {
    const asked: number[] = [];
    const exact = (argument: number) => {
      asked.push(argument);
      return ONE;
    };
    for (let word = 1_580_030_165; word < 1_580_030_172; word++) {
      bernoulliExp(1, exact, word, listedWords(word, 0));
    }
    expect(asked).toEqual([1_580_030_168]);
  });

  test.each([0, 0.01, 0.5, 1, 3])('is true with probability e^-%d (400,000 draws, 5 deviations)', (gamma) => {
    const draws = 400_000;
    const words = bufferedWords(ctrBytes(11), 1024);
    const exact = () => fraction(Math.round(gamma * 100), 100);
    let hits = 0;
    for (let i = 0; i < draws; i++) if (bernoulliExp(gamma, exact, 0, words)) hits++;
    const expected = Math.exp(-gamma);
    const deviation = Math.sqrt((expected * (1 - expected)) / draws);
    expect(Math.abs(hits / draws - expected)).toBeLessThanOrEqual(5 * deviation);
  });
});
