import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { philox, randomStream } from '../../src/core/random.ts';

const hex = (words: readonly number[]) => words.map((word) => word.toString(16).padStart(8, '0')).join(' ');
const words = (text: string) => text.split(' ').map((word) => Number.parseInt(word, 16));

describe('Philox4x32-10', () => {
  // kat_vectors of Random123 (the authors' own known answers).
  test.each([
    ['00000000 00000000 00000000 00000000', '00000000 00000000', '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    ['ffffffff ffffffff ffffffff ffffffff', 'ffffffff ffffffff', '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    ['243f6a88 85a308d3 13198a2e 03707344', 'a4093822 299f31d0', 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ])('counter %s, key %s', (counter, key, expected) => {
    expect(hex(philox(words(counter), words(key)))).toBe(expected);
  });
});

describe('streams', () => {
  const start = (...path: readonly (string | number)[]) => {
    const stream = randomStream(7, ...path);
    return Array.from({ length: 8 }, () => stream.uint32()).join();
  };

  test('the same seed and path give the same words, any other path gives others', () => {
    const paths = [[], ['a'], ['b'], ['a', 'b'], ['ab'], ['a', 1], ['a', '1'], [1, 'a'], ['a', 'b', '']];
    const starts = paths.map((path) => start(...path));
    expect(paths.map((path) => start(...path))).toEqual(starts);
    expect(new Set(starts).size).toBe(paths.length);
    expect(randomStream(8, 'a').uint32()).not.toBe(randomStream(7, 'a').uint32());
  });

  test('a stream does not repeat its first blocks', () => {
    const stream = randomStream(1, 'blocks');
    const drawn = Array.from({ length: 10_000 }, () => stream.uint32());
    // 10,000 of 2^32 words: about 0.01 equal pairs are expected.
    expect(new Set(drawn).size).toBeGreaterThan(9_997);
  });
});

const N = 20_000;

function momentsOf(draw: () => number): { mean: number; variance: number; skew: number; kurtosis: number } {
  const values = Array.from({ length: N }, draw);
  const mean = values.reduce((sum, x) => sum + x, 0) / N;
  const central = (power: number) => values.reduce((sum, x) => sum + (x - mean) ** power, 0) / N;
  const variance = central(2);
  return { mean, variance, skew: central(3) / variance ** 1.5, kurtosis: central(4) / variance ** 2 };
}

/** Bounds are five standard errors of the estimate or wider; the seeds are fixed. */
describe('distributions', () => {
  test('uniform: range, mean 1/2, variance 1/12, and bits below 2^-32', () => {
    const stream = randomStream(2, 'uniform');
    const drawn: number[] = [];
    const { mean, variance } = momentsOf(() => {
      const value = stream.uniform();
      drawn.push(value);
      return value;
    });
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...drawn)).toBeLessThan(1);
    expect(Math.abs(mean - 0.5)).toBeLessThan((5 * Math.sqrt(1 / 12)) / Math.sqrt(N));
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.003);
    const fine = drawn.filter((value) => (value * 2 ** 32) % 1 !== 0);
    expect(fine.length).toBeGreaterThan(0.99 * N);
  });

  test('normal: mean 0, variance 1, skew 0, kurtosis 3, and the pair is not correlated', () => {
    const stream = randomStream(3, 'normal');
    const drawn: number[] = [];
    const { mean, variance, skew, kurtosis } = momentsOf(() => {
      const value = stream.normal();
      drawn.push(value);
      return value;
    });
    expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(N));
    expect(Math.abs(variance - 1)).toBeLessThan(5 * Math.sqrt(2 / N));
    expect(Math.abs(skew)).toBeLessThan(5 * Math.sqrt(6 / N));
    expect(Math.abs(kurtosis - 3)).toBeLessThan(5 * Math.sqrt(24 / N));
    let product = 0;
    for (let i = 0; i < N; i += 2) product += drawn[i]! * drawn[i + 1]!;
    expect(Math.abs(product / (N / 2))).toBeLessThan(5 / Math.sqrt(N / 2));
  });

  test.each([2, 3, 7, 10])('below(%i): every number equally often', (bound) => {
    const stream = randomStream(4, 'below', bound);
    const counts = new Array<number>(bound).fill(0);
    for (let i = 0; i < N; i++) counts[stream.below(bound)]!++;
    const expected = N / bound;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // Mean bound - 1, variance 2 (bound - 1).
    expect(chiSquare).toBeLessThan(bound - 1 + 6 * Math.sqrt(2 * (bound - 1)));
  });
});

describe('below', () => {
  /** 3/4 of the words lie below this bound: a plain remainder would give the lower third twice as often. */
  const BOUND = 3 * 2 ** 30;

  test('has no modulo bias: words beyond the last whole multiple are drawn again', () => {
    const plain = randomStream(5, 'bias');
    const wordsDrawn = Array.from({ length: 4_000 }, () => plain.uint32());
    const stream = randomStream(5, 'bias');
    const kept = wordsDrawn.filter((word) => word < BOUND);
    expect(kept.length).toBeLessThan(wordsDrawn.length);
    expect(kept.map(() => stream.below(BOUND))).toEqual(kept);
  });

  test('2^32 is every word, 1 is always 0', () => {
    const plain = randomStream(6, 'all');
    const stream = randomStream(6, 'all');
    for (let i = 0; i < 10; i++) expect(stream.below(2 ** 32)).toBe(plain.uint32());
    expect(stream.below(1)).toBe(0);
  });

  test.each([0, -1, 1.5, 2 ** 32 + 1, Number.NaN])('refuses %d', (bound) => {
    expect(() => randomStream(0).below(bound)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });

  test('stays in range (property)', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 2 ** 32 }), (seed, bound) => {
        const value = randomStream(seed).below(bound);
        expect(Number.isInteger(value) && value >= 0 && value < bound).toBe(true);
      }),
    );
  });
});

describe('shuffled', () => {
  test('is a permutation and leaves its input alone (property)', () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(fc.integer()), (seed, items) => {
        const before = [...items];
        const shuffled = randomStream(seed).shuffled(items);
        expect(items).toEqual(before);
        expect([...shuffled].sort((a, b) => a - b)).toEqual(before.sort((a, b) => a - b));
      }),
    );
  });

  test('gives all orders of three equally often', () => {
    const stream = randomStream(9, 'orders');
    const counts = new Map<string, number>();
    for (let i = 0; i < N; i++) {
      const order = stream.shuffled(['a', 'b', 'c']).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    const expected = N / 6;
    const chiSquare = [...counts.values()].reduce(
      (sum, count) => sum + (count - expected) ** 2 / expected,
      0,
    );
    expect(chiSquare).toBeLessThan(5 + 6 * Math.sqrt(10));
  });
});
