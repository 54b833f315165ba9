import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Fractions, zeroFractions } from '../../../src/privacy/seal/fixed.ts';
import type { CipherPlan } from '../../../src/privacy/seal/plan.ts';
import { DEGREE } from '../../../src/privacy/seal/ring.ts';
import {
  addPlaintexts,
  fitSlots,
  readPlaintexts,
  signedOf,
  wordsPerPolynomial,
} from '../../../src/privacy/seal/slots.ts';
import { wordsFrom } from './helpers.ts';

/** All that 12 to 51 bits hold. */
const plans = fc
  .integer({ min: 1, max: 32 })
  .chain((ringBits) =>
    fc
      .integer({ min: Math.ceil(12 / ringBits), max: Math.floor(51 / ringBits) })
      .map((slots): CipherPlan => ({ ringBits, slots, mostGroups: 2, floodBits: 49, bytes: 7 })),
  );

/** A plan and the signed words of a few coefficients; the extremes are frequent. */
const contents = plans.chain((plan) => {
  const limit = 2 ** (plan.ringBits - 1);
  const word = fc.oneof(
    fc.integer({ min: -limit, max: limit - 1 }),
    fc.constantFrom(-limit, limit - 1, 0, -1),
  );
  return fc.record({ plan: fc.constant(plan), numbers: fc.array(word, { minLength: 1, maxLength: 60 }) });
});

function at({ hi, lo }: Fractions, i: number): bigint {
  return (BigInt(hi[i]!) << 32n) + BigInt(lo[i]!);
}

function put({ hi, lo }: Fractions, i: number, value: bigint): void {
  hi[i] = Number(BigInt.asUintN(32, value >> 32n));
  lo[i] = Number(BigInt.asUintN(32, value));
}

/** By the definition: M * 2^(64 - slots * ringBits) modulo 2^64. */
function fractionOf(words: readonly number[], { slots, ringBits }: CipherPlan): bigint {
  const plaintext = words.reduceRight((sum, word) => (sum << BigInt(ringBits)) + BigInt(word), 0n);
  return BigInt.asUintN(64, plaintext << BigInt(64 - slots * ringBits));
}

function chunks(numbers: readonly number[], size: number): number[][] {
  return Array.from({ length: Math.ceil(numbers.length / size) }, (_, i) =>
    numbers.slice(i * size, (i + 1) * size),
  );
}

describe('plaintexts', () => {
  test('stand where the definition puts them, added to what was there', () => {
    fc.assert(
      fc.property(contents, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), ({ plan, numbers }, start) => {
        const fractions = zeroFractions(DEGREE);
        for (let i = 0; i < DEGREE; i++) put(fractions, i, start);
        addPlaintexts(fractions, signedOf(wordsFrom(numbers)), 0, plan);
        const groups = chunks(numbers, plan.slots);
        groups.forEach((group, i) => {
          expect(at(fractions, i)).toBe(BigInt.asUintN(64, start + fractionOf(group, plan)));
        });
        expect(at(fractions, groups.length)).toBe(start);
      }),
      { numRuns: 300 },
    );
  });

  test('come back, with as much in the way as 3/8 of a step', () => {
    fc.assert(
      fc.property(contents, fc.integer({ min: -1000, max: 1000 }), ({ plan, numbers }, part) => {
        const step = 2n ** BigInt(64 - plan.slots * plan.ringBits);
        const inTheWay = (3n * step * BigInt(part)) / 8000n;
        const fractions = zeroFractions(DEGREE);
        addPlaintexts(fractions, signedOf(wordsFrom(numbers)), 0, plan);
        for (let i = 0; i < DEGREE; i++) put(fractions, i, at(fractions, i) + inTheWay);
        const words = new Uint32Array(numbers.length);
        expect(readPlaintexts(fractions, words, 0, plan)).toBe(true);
        expect(Array.from(signedOf(words), Number)).toEqual(numbers);
      }),
      { numRuns: 300 },
    );
  });

  test('are refused with any more, in any one coefficient', () => {
    fc.assert(
      fc.property(
        contents,
        fc.nat(DEGREE - 1),
        fc.bigInt({ min: 1n, max: 2n ** 64n }),
        ({ plan, numbers }, place, random) => {
          const step = 2n ** BigInt(64 - plan.slots * plan.ringBits);
          // Strictly between 3/8 and 5/8 of a step.
          const inTheWay = (3n * step) / 8n + 1n + (random % (step / 4n - 1n));
          const fractions = zeroFractions(DEGREE);
          addPlaintexts(fractions, signedOf(wordsFrom(numbers)), 0, plan);
          put(fractions, place, at(fractions, place) + inTheWay);
          expect(readPlaintexts(fractions, new Uint32Array(numbers.length), 0, plan)).toBe(false);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('sums of plaintexts are plaintexts of sums, for every sum that a slot holds', () => {
    fc.assert(
      fc.property(contents, fc.array(fc.integer(), { maxLength: 5 }), ({ plan, numbers }, others) => {
        const limit = 2 ** (plan.ringBits - 1);
        // Others of any size, and what is missing to the sum; each within a slot.
        const low = (number: number) =>
          ((((number + limit) % (2 * limit)) + 2 * limit) % (2 * limit)) - limit;
        const vectors = others.map((other) => numbers.map((_, i) => low(Math.imul(other, i + 1))));
        const fractions = zeroFractions(DEGREE);
        for (const vector of vectors) addPlaintexts(fractions, signedOf(wordsFrom(vector)), 0, plan);
        // Subtracted again, as numbers of their own: -limit has no opposite, so twice half of it.
        for (const vector of vectors)
          for (const half of [Math.floor, Math.ceil])
            addPlaintexts(fractions, signedOf(wordsFrom(vector.map((word) => half(-word / 2)))), 0, plan);
        addPlaintexts(fractions, signedOf(wordsFrom(numbers)), 0, plan);
        const words = new Uint32Array(numbers.length);
        expect(readPlaintexts(fractions, words, 0, plan)).toBe(true);
        expect(Array.from(signedOf(words), Number)).toEqual(numbers);
      }),
      { numRuns: 200 },
    );
  });

  test('words of later polynomials are read and written there', () => {
    const plan: CipherPlan = { ringBits: 23, slots: 2, mostGroups: 2, floodBits: 49, bytes: 7 };
    expect(wordsPerPolynomial(plan)).toBe(8192);
    const numbers = Array.from({ length: 8192 + 3 }, (_, i) => (i % 100) - 50);
    const fractions = zeroFractions(DEGREE);
    addPlaintexts(fractions, signedOf(wordsFrom(numbers)), 8192, plan);
    expect(at(fractions, 0)).toBe(fractionOf(numbers.slice(8192, 8194), plan));
    expect(at(fractions, 1)).toBe(fractionOf([numbers[8194]!], plan));
    expect(at(fractions, 2)).toBe(0n);
    const words = new Uint32Array(8192 + 3).fill(7);
    expect(readPlaintexts(fractions, words, 8192, plan)).toBe(true);
    expect(words.subarray(0, 8192).every((word) => word === 7)).toBe(true);
    expect([...signedOf(words.subarray(8192))]).toEqual(numbers.slice(8192));
  });

  test('what a slot can hold', () => {
    const plan: CipherPlan = { ringBits: 8, slots: 2, mostGroups: 2, floodBits: 49, bytes: 7 };
    expect(fitSlots(wordsFrom([-128, 127, 0]), plan)).toBe(true);
    expect(fitSlots(wordsFrom([128]), plan)).toBe(false);
    expect(fitSlots(wordsFrom([0, -129]), plan)).toBe(false);
    expect(fitSlots(wordsFrom([-(2 ** 31), 2 ** 31 - 1]), { ...plan, ringBits: 32 })).toBe(true);
  });
});
