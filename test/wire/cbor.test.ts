import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { decodeItems, encodeCbor, readCbor } from '../../src/wire/cbor.ts';

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const schema = z.strictObject({ b: bytes, list: z.array(z.string().nullable()), n: z.number() });
type Message = z.output<typeof schema>;
const MOST = 50;

const messages: fc.Arbitrary<Message> = fc.record({
  b: fc.uint8Array({ maxLength: 40 }),
  list: fc.array(fc.option(fc.string({ unit: 'binary', maxLength: 10 })), { maxLength: 8 }),
  n: fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true })),
});

const EXAMPLE: Message = { b: Uint8Array.of(1, 2), list: ['x', null], n: 7 };
const CANONICAL = encodeCbor(EXAMPLE);
const hexOf = (content: Uint8Array) => Buffer.from(content).toString('hex');
const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));

describe('a message', () => {
  test('is read as it was written, from anywhere in a buffer (property)', () => {
    fc.assert(
      fc.property(messages, fc.nat(9), (message, offset) => {
        const written = encodeCbor(message);
        const larger = new Uint8Array(written.length + 12);
        larger.set(written, offset);
        const found = readCbor(larger.subarray(offset, offset + written.length), schema, MOST);
        // -0 is written as the integer 0.
        expect(found).toEqual({ ...message, n: message.n + 0 });
      }),
    );
  });

  test('does not depend on the order in which its fields were set', () => {
    const { b, list, n } = EXAMPLE;
    expect(hexOf(encodeCbor({ n, list, b }))).toBe(hexOf(CANONICAL));
    expect(hexOf(CANONICAL)).toBe('a36162420102616e07646c697374826178f6');
  });

  test('has one encoding: changed bytes are another message or none (property)', () => {
    const change = fc.record({
      at: fc.nat(CANONICAL.length - 1),
      to: fc.integer({ min: 0, max: 255 }),
      insert: fc.boolean(),
    });
    fc.assert(
      fc.property(messages, fc.array(change, { minLength: 1, maxLength: 3 }), (message, changes) => {
        let changed = encodeCbor(message);
        for (const { at, to, insert } of changes) {
          const next = [...changed];
          next.splice(at, insert ? 0 : 1, to);
          changed = Uint8Array.from(next);
        }
        const read = readCbor(changed, schema, MOST);
        if (read !== null) expect(hexOf(encodeCbor(read))).toBe(hexOf(changed));
      }),
      { numRuns: 2000 },
    );
  });

  test('cut short or with more behind it is none', () => {
    for (let length = 0; length < CANONICAL.length; length++) {
      expect(readCbor(CANONICAL.subarray(0, length), schema, MOST)).toBeNull();
    }
    expect(readCbor(Uint8Array.of(...CANONICAL, 0), schema, MOST)).toBeNull();
    expect(readCbor(Uint8Array.of(...CANONICAL, ...CANONICAL), schema, MOST)).toBeNull();
  });

  test.each([
    ['fields in another order', 'a3616e0761624201026 46c697374826178f6'],
    ['a length that is longer than it need be', 'a3616258020102616e07646c697374826178f6'],
    ['a number that is longer than it need be', 'a36162420102616e1807646c697374826178f6'],
    ['a whole number as a float', 'a36162420102616ef94700646c697374826178f6'],
    ['a list without its length', 'a36162420102616e07646c6973749f6178f6ff'],
    ['a map without its length', 'bf6162420102616e07646c697374826178f6ff'],
    ['a byte string in pieces', 'a361625f41014102ff616e07646c697374826178f6'],
    ['a field twice', 'a46162420102616e07616e07646c697374826178f6'],
    ['undefined in place of null', 'a36162420102616e07646c697374826178f7'],
    ['a tag', 'a36162d818420102616e07646c697374826178f6'],
    ['a field more', 'a461620' + '0616e07616f00646c697374826178f6'],
    ['a field less', 'a26162420102616e07'],
    ['a text in place of bytes', 'a36162626162616e07646c697374826178f6'],
    ['a text that is not UTF-8', 'a36162420102616e07646c6973748261fff6'],
    ['NaN', 'a36162420102616ef97e00646c697374826178f6'],
    ['JSON', hexOf(Buffer.from('{"b":"","list":[],"n":7}'))],
    ['nothing', ''],
  ])('%s is none', (_, hex) => {
    expect(readCbor(fromHex(hex.replaceAll(' ', '')), schema, MOST)).toBeNull();
  });

  test('names that objects have by themselves are not taken for fields', () => {
    const polluted = encodeCbor(
      new Map<string, unknown>([...Object.entries(EXAMPLE), ['__proto__', { x: 1 }]]),
    );
    expect(readCbor(polluted, schema, MOST)).toBeNull();
    expect(Object.prototype).not.toHaveProperty('x');
  });

  test.each([
    ['an array', (content: Uint8Array) => Uint8Array.from(content)],
    ['a Buffer', (content: Uint8Array) => Buffer.from(content)],
  ])('keeps its bytes when the memory it came in, %s, is used again', (_, copied) => {
    const memory = copied(CANONICAL);
    const read = readCbor(memory, schema, MOST)!;
    memory.fill(0xff);
    expect(read).toEqual(EXAMPLE);
  });
});

describe('the number of items', () => {
  /** The map, a key and a value for each of three fields, and the members of the list. */
  const ITEMS = 1 + 2 * 3 + 2;

  test('is counted over all maps and lists', () => {
    expect(readCbor(CANONICAL, schema, ITEMS)).toEqual(EXAMPLE);
    expect(readCbor(CANONICAL, schema, ITEMS - 1)).toBeNull();
    expect(() => decodeItems(CANONICAL, ITEMS - 1)).toThrow(`more than ${ITEMS - 1} items`);
  });

  test('bounds the work on millions of empty maps and lists', () => {
    const count = 2 ** 22;
    for (const empty of [0xa0, 0x80, 0xf6, 0x00]) {
      const list = new Uint8Array(5 + count).fill(empty);
      list.set([0x9a, 0, 0x40, 0, 0]);
      const started = performance.now();
      expect(() => decodeItems(list, 1000)).toThrow('more than 1000 items');
      expect(performance.now() - started).toBeLessThan(1000);
    }
  });

  test('bounds nested lists, which end in no overflow of the stack', () => {
    const nested = new Uint8Array(100_000).fill(0x81);
    expect(readCbor(nested, z.unknown(), 1000)).toBeNull();
  });

  test('a length that is a lie costs nothing', () => {
    for (const hex of ['9affffffff', '9bffffffffffffffff', '5affffffff00', 'baffffffff', '7affffffff']) {
      expect(readCbor(fromHex(hex), z.unknown(), MOST), hex).toBeNull();
    }
  });
});
