import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { packedBytes, packWords, unpackWords } from '../../../src/privacy/secure-sum/packing.ts';

const widths = fc.integer({ min: 1, max: 32 });
const wordLists = fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxLength: 70 });

/** The definition: one long number, word i at bit i * bits. */
function packedAsNumber(words: readonly number[], bits: number): bigint {
  return words.reduceRight((sum, word) => (sum << BigInt(bits)) | BigInt.asUintN(bits, BigInt(word)), 0n);
}

function littleEndian(value: bigint, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => Number((value >> BigInt(8 * i)) & 255n));
}

describe('packing of words', () => {
  test('is the one long little-endian number of all words, of exactly the bytes that takes', () => {
    fc.assert(
      fc.property(wordLists, widths, (words, bits) => {
        const packed = packWords(Uint32Array.from(words), bits);
        expect(packed.length).toBe(Math.ceil((words.length * bits) / 8));
        expect(packed.length).toBe(packedBytes(words.length, bits));
        expect(packed).toEqual(littleEndian(packedAsNumber(words, bits), packed.length));
      }),
      { numRuns: 400 },
    );
  });

  test('gives back the low bits of each word, wherever the bytes start in their buffer', () => {
    fc.assert(
      fc.property(wordLists, widths, fc.nat(9), (words, bits, offset) => {
        const packed = packWords(Uint32Array.from(words), bits);
        const around = new Uint8Array(offset + packed.length + 3).fill(0xff);
        around.set(packed, offset);
        const view = around.subarray(offset, offset + packed.length);
        const low = words.map((word) => Number(BigInt.asUintN(bits, BigInt(word))));
        expect(unpackWords(view, words.length, bits)).toEqual(Uint32Array.from(low));
      }),
      { numRuns: 400 },
    );
  });

  test('three words of 11 bits, by hand', () => {
    // 0x7ff | 0x001 << 11 | 0x400 << 22 = 0x1_00000fff
    expect([...packWords(Uint32Array.of(0x7ff, 1, 0x400), 11)]).toEqual([0xff, 0x0f, 0, 0, 1]);
  });

  test('a large number of words at the widths that rounds use', () => {
    const words = Uint32Array.from({ length: 100_003 }, (_, i) => Math.imul(i + 1, 0x9e3779b1));
    for (const bits of [23, 27, 31, 32]) {
      const unpacked = unpackWords(packWords(words, bits), words.length, bits)!;
      const limit = 2 ** bits;
      expect(unpacked.findIndex((word, i) => word !== words[i]! % limit)).toBe(-1);
    }
  });

  test('has one encoding per content: any bit set behind the last word is refused', () => {
    fc.assert(
      fc.property(wordLists, widths, (words, bits) => {
        const packed = packWords(Uint32Array.from(words), bits);
        for (let bit = words.length * bits; bit < 8 * packed.length; bit++) {
          const changed = Uint8Array.from(packed);
          changed[bit >> 3]! |= 1 << (bit & 7);
          expect(unpackWords(changed, words.length, bits)).toBeNull();
        }
      }),
    );
  });

  test('what unpacks is what packs to the very same bytes', () => {
    const bytes = fc.uint8Array({ maxLength: 40 });
    fc.assert(
      fc.property(bytes, widths, fc.nat(80), (content, bits, count) => {
        const words = unpackWords(content, count, bits);
        if (words !== null) expect(packWords(words, bits)).toEqual(content);
        else expect(content.length !== packedBytes(count, bits) || content.at(-1) !== 0).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  test('one byte more or less is refused', () => {
    const packed = packWords(Uint32Array.of(1, 2, 3), 9);
    expect(unpackWords(packed.subarray(1), 3, 9)).toBeNull();
    expect(unpackWords(Uint8Array.from([...packed, 0]), 3, 9)).toBeNull();
    expect(unpackWords(new Uint8Array(0), 0, 9)).toEqual(new Uint32Array(0));
  });

  test.each([0, 33, 1.5, -1, Number.NaN])('words of %d bits break a promise', (bits) => {
    expect(() => packWords(Uint32Array.of(1), bits)).toThrow('invariant broken');
    expect(() => unpackWords(Uint8Array.of(1), 1, bits)).toThrow('invariant broken');
  });

  test.each([-1, 1.5, Number.NaN])('%d words break a promise', (count) => {
    expect(() => packedBytes(count, 16)).toThrow('invariant broken');
  });
});
