import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import type { BlobStore } from '../../src/server/blobs/blob-store.ts';

/** What the suite needs to know about a blob store. */
export interface BlobStoreCase {
  readonly name: string;
  /** Opens a store; the next call opens another one, over the same blobs. */
  readonly open: () => Promise<BlobStore>;
}

const KEPT = { durable: true };
const PASSING = { durable: false };
const LARGE_BYTES = 5 * 1024 * 1024;

/** Bytes that show where they come from. */
function bytesOf(seed: number, length: number): Buffer {
  const random = randomStream(seed, 'blob');
  return Buffer.from(Uint8Array.from({ length }, () => random.below(256)));
}

const NO_KEYS = [
  '',
  '/a',
  'a/',
  'a//b',
  '.',
  '..',
  '../a',
  'a/../b',
  'a..b',
  '.a',
  'a/.b',
  'A',
  'a b',
  'a\\b',
  'a\n',
  'ä',
];

/** What every blob store promises; called from the test of each. */
export function blobStoreConformance({ name, open }: BlobStoreCase): void {
  describe(`conformance of blob store "${name}"`, () => {
    let blobs: BlobStore;
    let key: string;
    let count = 0;

    beforeEach(async () => {
      blobs = await open();
      key = `conformance/${count++}/a-key.bin`;
    });

    afterEach(async () => await blobs.close());

    test.each([
      ['to last', KEPT],
      ['in passing', PASSING],
    ])('what is written %s is read, also by a store that is opened later', async (_, options) => {
      const content = bytesOf(1, 1000);
      await blobs.write(key, content, options);
      expect(await blobs.read(key)).toEqual(content);
      const later = await open();
      expect(await later.read(key)).toEqual(content);
      await later.close();
    });

    test('a part of a larger array is written as that part', async () => {
      const content = bytesOf(2, 100);
      await blobs.write(key, new Uint8Array(content.buffer, content.byteOffset + 10, 20), KEPT);
      expect(await blobs.read(key)).toEqual(content.subarray(10, 30));
    });

    test('where there is none it says null, whatever the range, and its neighbours are not it', async () => {
      await blobs.write(`${key}.other`, bytesOf(3, 10), KEPT);
      expect(await blobs.read(key)).toBeNull();
      expect(await blobs.readRange(key, 0, 10)).toBeNull();
      expect(await blobs.readRange(key, 0, 0)).toBeNull();
      expect(await blobs.readRange(key, 1000, 1)).toBeNull();
    });

    test('the same key again replaces the content, by a shorter and by a longer one', async () => {
      for (const length of [500, 20, 700]) {
        await blobs.write(key, bytesOf(length, length), KEPT);
        expect(await blobs.read(key)).toEqual(bytesOf(length, length));
      }
    });

    test('deletes many, of which some are not there, and no others; and writes again what was deleted', async () => {
      const keys = Array.from({ length: 30 }, (_, index) => `${key}/${index}`);
      for (const each of keys) await blobs.write(each, bytesOf(4, 10), PASSING);
      await blobs.delete([...keys.slice(0, 20), `${key}/none`, 'conformance/none/at/all']);
      const left = await Promise.all(keys.map(async (each) => (await blobs.read(each)) !== null));
      expect(left).toEqual(keys.map((_, index) => index >= 20));
      await blobs.delete([]);
      await blobs.delete(keys);
      await blobs.write(keys[0]!, bytesOf(5, 10), KEPT);
      expect(await blobs.read(keys[0]!)).toEqual(bytesOf(5, 10));
    });

    test('an empty blob is there', async () => {
      await blobs.write(key, new Uint8Array(), KEPT);
      expect(await blobs.read(key)).toEqual(Buffer.alloc(0));
      expect(await blobs.readRange(key, 0, 10)).toEqual(Buffer.alloc(0));
      expect(await blobs.readRange(key, 0, 0)).toEqual(Buffer.alloc(0));
    });

    test('a blob of 5 MB comes back whole and in parts', async () => {
      const content = bytesOf(6, LARGE_BYTES);
      await blobs.write(key, content, KEPT);
      expect((await blobs.read(key))?.equals(content)).toBe(true);
      const part = await blobs.readRange(key, LARGE_BYTES - 1_000_000, 2_000_000);
      expect(part?.equals(content.subarray(LARGE_BYTES - 1_000_000))).toBe(true);
    });

    test('a range is what there is of it (property)', async () => {
      const size = 200;
      const content = bytesOf(7, size);
      await blobs.write(key, content, KEPT);
      const place = fc.oneof(
        fc.integer({ min: 0, max: size + 20 }),
        fc.constantFrom(0, 1, size - 1, size, size + 1, 2 ** 31, 2 ** 40),
      );
      await fc.assert(
        fc.asyncProperty(place, place, async (offset, length) => {
          expect(await blobs.readRange(key, offset, length)).toEqual(
            content.subarray(offset, offset + length),
          );
        }),
        { numRuns: 200 },
      );
    });

    test('writes of one key at once leave one of the contents whole, and no reader sees anything else', async () => {
      const contents = Array.from({ length: 8 }, (_, writer) => Buffer.alloc(100_000, writer + 1));
      const isOne = (found: Buffer | null) =>
        found !== null && contents.some((content) => content.equals(found));
      for (const options of [KEPT, PASSING, KEPT]) {
        await blobs.write(key, contents[0]!, options);
        const writes = contents.map((content) => blobs.write(key, content, options));
        const reads = contents.map(() => blobs.read(key));
        expect((await Promise.all(reads)).map(isOne)).not.toContain(false);
        await Promise.all(writes);
        expect(isOne(await blobs.read(key))).toBe(true);
      }
    });

    test('memory that is lent may be used, and what does not fit in it comes whole all the same', async () => {
      const content = bytesOf(10, 1000);
      await blobs.write(key, content, KEPT);
      for (const length of [0, 999, 1000, 1001]) {
        const around = Buffer.alloc(length + 20, 7);
        expect(await blobs.read(key, around.subarray(10, 10 + length))).toEqual(content);
        const [before, after] = [around.subarray(0, 10), around.subarray(10 + length)];
        expect(Buffer.concat([before, after])).toEqual(Buffer.alloc(20, 7));
      }
      expect(await blobs.read(`${key}/none`, Buffer.alloc(10))).toBeNull();
    });

    test('writes and deletes of neighbours at once do not harm each other', async () => {
      for (let turn = 0; turn < 20; turn++) {
        const old = `${key}/${turn}/old`;
        const fresh = `${key}/${turn}/new`;
        await blobs.write(old, bytesOf(8, 10), PASSING);
        await Promise.all([blobs.delete([old]), blobs.write(fresh, bytesOf(9, 10), KEPT)]);
        expect([await blobs.read(old), await blobs.read(fresh)]).toEqual([null, bytesOf(9, 10)]);
      }
    });

    test.each(NO_KEYS)('%j is no key, for any of its methods', async (bad) => {
      const fault = expect.objectContaining({ code: 'INTERNAL' });
      await expect(blobs.write(bad, bytesOf(1, 1), KEPT)).rejects.toEqual(fault);
      await expect(blobs.read(bad)).rejects.toEqual(fault);
      await expect(blobs.readRange(bad, 0, 1)).rejects.toEqual(fault);
      await expect(blobs.delete([bad])).rejects.toEqual(fault);
    });

    test.each([
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [0, Number.NaN],
      [Number.POSITIVE_INFINITY, 1],
    ])('%d and %d are no range', async (offset, length) => {
      await blobs.write(key, bytesOf(1, 10), KEPT);
      await expect(blobs.readRange(key, offset, length)).rejects.toMatchObject({ code: 'INTERNAL' });
    });
  });
}
