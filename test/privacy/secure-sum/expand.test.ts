import { createCipheriv, createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addMask } from '../../../src/privacy/secure-sum/expand.ts';

const CHUNK_WORDS = 16 * 1024;
const keys = fc.uint8Array({ minLength: 32, maxLength: 32 });
const keyOf = (seed: string) => new Uint8Array(createHash('sha256').update(seed).digest());

/** Counter mode by its definition (NIST SP 800-38A, section 6.5): single blocks under the raw cipher. */
function keystream(key: Uint8Array, firstCounter: bigint, bytes: number): Uint8Array {
  const blocks = Math.ceil(bytes / 16);
  const counters = Buffer.alloc(16 * blocks);
  for (let i = 0; i < blocks; i++) {
    const counter = BigInt.asUintN(128, firstCounter + BigInt(i));
    counters.write(counter.toString(16).padStart(32, '0'), 16 * i, 'hex');
  }
  const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
  return cipher.update(counters).subarray(0, bytes);
}

/** The mask as the numbers that it is. */
function maskOf(key: Uint8Array, words: number): number[] {
  const view = Buffer.from(keystream(key, 0n, 4 * words));
  return Array.from({ length: words }, (_, i) => view.readUInt32LE(4 * i));
}

function bitsOf(word: number): number {
  let count = 0;
  for (let rest = word >>> 0; rest > 0; rest >>>= 1) count += rest & 1;
  return count;
}

describe('counter mode', () => {
  test('as these tests define it gives the vector of NIST SP 800-38A, F.5.5', () => {
    const key = Buffer.from('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4', 'hex');
    const plain = Buffer.from(
      '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
      'hex',
    );
    const stream = keystream(key, 0xf0f1f2f3f4f5f6f7f8f9fafbfcfdfeffn, plain.length);
    expect(Buffer.from(plain.map((byte, i) => byte ^ stream[i]!)).toString('hex')).toBe(
      '601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c52b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6',
    );
  });
});

describe('masks', () => {
  // NIST AESAVS, appendix C (KeySbox): the block of zeros under these keys, so the first four words of their masks.
  test.each([
    ['c47b0294dbbbee0fec4757f22ffeee3587ca4730c3d33b691df38bab076bc558', '46f2fb342d6f0ab477476fc501242c5f'],
    ['28d46cffa158533194214a91e712fc2b45b518076675affd910edeca5f41ac64', '4bf3b0a69aeb6657794f2901b1440ad4'],
  ])('begin with the published block under key %s', (key, block) => {
    const sum = new Uint32Array(4);
    addMask(sum, Buffer.from(key, 'hex'), 1);
    expect(Buffer.from(sum.buffer).toString('hex')).toBe(block);
  });

  test('are the keystream from counter zero, added or taken off modulo 2^32', () => {
    const words = fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxLength: 60 });
    fc.assert(
      fc.property(keys, words, fc.constantFrom<1 | -1>(1, -1), (key, before, sign) => {
        const sum = Uint32Array.from(before);
        addMask(sum, key, sign);
        const mask = maskOf(key, before.length);
        expect([...sum]).toEqual(before.map((word, i) => (word + sign * mask[i]! + 2 ** 32) % 2 ** 32));
      }),
      { numRuns: 200 },
    );
  });

  test.each(
    [0, 1, 2, 3, 4, 5].flatMap((more) => [CHUNK_WORDS - more, CHUNK_WORDS + more, 3 * CHUNK_WORDS + more]),
  )('of %d words are the same across the bounds of chunks', (words) => {
    const key = keyOf('bounds');
    const sum = new Uint32Array(words).fill(0xfffffff0);
    addMask(sum, key, 1);
    const mask = maskOf(key, words);
    expect(sum.findIndex((word, i) => word !== (0xfffffff0 + mask[i]!) % 2 ** 32)).toBe(-1);
  });

  test('cancel: added by one and taken off by the other, for any length and order', () => {
    const manyKeys = fc.array(keys, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(manyKeys, fc.integer({ min: 0, max: 2 * CHUNK_WORDS + 3 }), (some, length) => {
        const before = Uint32Array.from({ length }, (_, i) => Math.imul(i, 0x9e3779b1));
        const sum = Uint32Array.from(before);
        for (const key of some) addMask(sum, key, 1);
        for (const key of some.toReversed()) addMask(sum, key, -1);
        expect(Buffer.compare(Buffer.from(sum.buffer), Buffer.from(before.buffer))).toBe(0);
      }),
      { numRuns: 25 },
    );
  });

  test('stay within the words they were given', () => {
    const room = new Uint32Array(12);
    addMask(room.subarray(3, 9), keyOf('inside'), 1);
    expect([...room.subarray(0, 3), ...room.subarray(9)]).toEqual([0, 0, 0, 0, 0, 0]);
    expect([...room.subarray(3, 9)]).toEqual(maskOf(keyOf('inside'), 6));
  });

  test('of a shorter vector begin alike, and one bit of the key changes about half of all bits', () => {
    const key = keyOf('bits');
    const other = Uint8Array.from(key);
    other[31]! ^= 1;
    const [mask, changed] = [key, other].map((each) => {
      const sum = new Uint32Array(4096);
      addMask(sum, each, 1);
      return sum;
    });
    const differing = mask!.reduce((sum, word, i) => sum + bitsOf(word ^ changed![i]!), 0);
    // 131,072 bits: five standard deviations are 905.
    expect(Math.abs(differing - 65536)).toBeLessThan(905);
    expect([...mask!.subarray(0, 7)]).toEqual(maskOf(key, 7));
  });

  test.each([0, 16, 31, 33])('a key of %d bytes breaks a promise', (length) => {
    expect(() => addMask(new Uint32Array(1), new Uint8Array(length), 1)).toThrow('invariant broken');
  });
});
