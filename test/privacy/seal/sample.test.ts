import { createCipheriv } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { DEGREE, isElement, PRIMES } from '../../../src/privacy/seal/ring.ts';
import { emptyNoise, noiseSource, publicElements, uniformElement } from '../../../src/privacy/seal/sample.ts';
import { keyOf, SEED, same } from './helpers.ts';

/** Sum of (seen - expected)^2 / expected. */
function chiSquare(seen: ArrayLike<number>, expected: (bin: number) => number): number {
  return Array.from(seen).reduce((sum, count, bin) => sum + (count - expected(bin)) ** 2 / expected(bin), 0);
}

/** What chi-square of so many degrees of freedom exceeds with a chance of 1e-6 (Wilson and Hilferty 1931, z = 4.753). */
function unlikely(freedom: number): number {
  const part = 2 / (9 * freedom);
  return freedom * (1 - part + 4.753 * Math.sqrt(part)) ** 3;
}

const BLOCKS = 50;

/** The noise of some blocks as the definition of `noiseSource` has it, from the bytes of the cipher: x and f apart. */
function noiseByDefinition(key: Uint8Array, floodBits: number): { small: number; flood: bigint }[] {
  const cipher = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
  const stream = cipher.update(new Uint8Array(16 * DEGREE * BLOCKS));
  const ones = (word: number) => word.toString(2).replaceAll('0', '').length;
  return Array.from({ length: DEGREE * BLOCKS }, (_, i) => {
    const [a, b, c, d] = [0, 4, 8, 12].map((byte) => stream.readUInt32LE(16 * i + byte));
    const top = (BigInt(c!) >> BigInt(32 - (floodBits + 1 - 26))) << 26n;
    return {
      small: ones(a! % 2 ** 21) - ones(b! % 2 ** 21),
      flood: top + (BigInt(d!) >> 6n) - 2n ** BigInt(floodBits),
    };
  });
}

function valuesOf(key: Uint8Array, floodBits: number): bigint[] {
  const fill = noiseSource(key, floodBits);
  const noise = emptyNoise();
  return Array.from({ length: BLOCKS }, () => {
    fill(noise);
    return Array.from(noise.high, (high, i) => BigInt(high) * 2n ** 26n + BigInt(noise.low[i]!));
  }).flat();
}

describe('uniform elements', () => {
  test('are uniform modulo each prime: 256 bins, p = 1e-6', () => {
    const elements = Array.from({ length: 30 }, (_, i) => uniformElement(keyOf('uniform', i)));
    for (const [j, prime] of PRIMES.entries()) {
      const bins = new Uint32Array(256);
      for (const element of elements) {
        expect(isElement(element)).toBe(true);
        for (const residue of element.subarray(j * DEGREE, (j + 1) * DEGREE))
          bins[Math.floor((256 * residue) / prime)]!++;
      }
      // Bins hold as many residues, but for one in 8000.
      expect(chiSquare(bins, () => (30 * DEGREE) / 256)).toBeLessThan(unlikely(255));
    }
  });

  test('neighbours are independent: 16 x 16 bins, p = 1e-6', () => {
    const bins = new Uint32Array(256);
    for (let i = 0; i < 10; i++) {
      const element = uniformElement(keyOf('pairs', i));
      for (const [j, prime] of PRIMES.entries())
        for (let at = j * DEGREE; at < (j + 1) * DEGREE; at += 2) {
          const [a, b] = [element[at]!, element[at + 1]!].map((residue) =>
            Math.floor((16 * residue) / prime),
          );
          bins[16 * a! + b!]!++;
        }
    }
    expect(chiSquare(bins, () => (10 * 5 * DEGREE) / 2 / 256)).toBeLessThan(unlikely(255));
  });

  test('are a function of the key, of which there is one for each public element', () => {
    expect(same(uniformElement(keyOf('a')), uniformElement(keyOf('a')))).toBe(true);
    expect(same(uniformElement(keyOf('a')), uniformElement(keyOf('b')))).toBe(false);
    const [one, other] = [publicElements(SEED), publicElements(keyOf('another seed'))];
    expect(same(one(3), publicElements(SEED)(3))).toBe(true);
    expect(same(one(3), one(4))).toBe(false);
    expect(same(one(3), other(3))).toBe(false);
  });

  test('a key has 32 bytes', () => {
    expect(() => uniformElement(new Uint8Array(31))).toThrow('invariant broken');
    expect(() => publicElements(new Uint8Array(33))(0)).toThrow('invariant broken');
    expect(() => noiseSource(new Uint8Array(16), 49)).toThrow('invariant broken');
  });
});

describe('noise', () => {
  test.each([26, 45, 49, 53])(
    'is the definition, number for number, with flooding noise of %d bits',
    (floodBits) => {
      const key = keyOf('definition', floodBits);
      const expected = noiseByDefinition(key, floodBits).slice(0, 2 * DEGREE);
      const values = valuesOf(key, floodBits);
      expect(expected.findIndex(({ small, flood }, i) => values[i] !== BigInt(small) + flood)).toBe(-1);
    },
  );

  test('its small part is centred binomial: mean, variance, and each number, p = 1e-6', () => {
    const key = keyOf('small');
    const flood = noiseByDefinition(key, 49).map((noise) => noise.flood);
    const small = valuesOf(key, 49).map((value, i) => Number(value - flood[i]!));
    const count = small.length;
    const mean = small.reduce((sum, x) => sum + x, 0) / count;
    const variance = small.reduce((sum, x) => sum + x * x, 0) / count;
    // Five deviations of the mean, and of the variance of what is nearly normal.
    expect(Math.abs(mean)).toBeLessThan(5 * Math.sqrt(10.5 / count));
    expect(Math.abs(variance - 10.5)).toBeLessThan(5 * 10.5 * Math.sqrt(2 / count));
    // x + 21 is how many of 42 coins show heads. What is beyond 12 counts as 12.
    const bins = new Uint32Array(25);
    for (const x of small) bins[Math.max(-12, Math.min(12, x)) + 12]!++;
    const chances = new Float64Array(25);
    for (let heads = 0, ways = 2 ** -42; heads <= 42; ways *= (42 - heads) / (heads + 1), heads++)
      chances[Math.max(-12, Math.min(12, heads - 21)) + 12]! += ways;
    expect(chiSquare(bins, (bin) => chances[bin]! * count)).toBeLessThan(unlikely(24));
  });

  test('its flooding part is uniform over the whole range: variance, and 64 bins, p = 1e-6', () => {
    const parts = valuesOf(keyOf('flood'), 49).map((value) => Number(value) / 2 ** 49);
    const count = parts.length;
    // The small part is below 2^-44 of this.
    expect(parts.every((part) => Math.abs(part) <= 1 + 2 ** -44)).toBe(true);
    expect(parts.reduce((least, part) => Math.min(least, part))).toBeLessThan(-0.999);
    expect(parts.reduce((most, part) => Math.max(most, part))).toBeGreaterThan(0.999);
    const variance = parts.reduce((sum, part) => sum + part * part, 0) / count;
    // The square of a uniform number has variance 4 / 45.
    expect(Math.abs(variance - 1 / 3)).toBeLessThan(5 * Math.sqrt(4 / 45 / count));
    const bins = new Uint32Array(64);
    for (const part of parts) bins[Math.max(0, Math.min(63, Math.floor(32 * (part + 1))))]!++;
    expect(chiSquare(bins, () => count / 64)).toBeLessThan(unlikely(63));
  });

  test.each([25, 54, 40.5])('flooding noise of %d bits breaks a promise', (floodBits) => {
    expect(() => noiseSource(SEED, floodBits)).toThrow('invariant broken');
  });
});
