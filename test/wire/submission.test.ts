import { decode, encode } from 'cborg';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asStage } from '../../src/core/brand.ts';
import { sha256 } from '../../src/core/digest.ts';
import { PluralError } from '../../src/core/errors.ts';
import type { ProtectedUpdate } from '../../src/wire/stages.ts';
import { decodeSubmission, encodeSubmission } from '../../src/wire/submission.ts';

interface Fields {
  group: string;
  round: number;
  protection: string;
  payload: Uint8Array;
}

const fields = fc.record<Fields>({
  group: fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
  round: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  protection: fc.string({ minLength: 1, maxLength: 64 }),
  payload: fc.uint8Array({ maxLength: 40 }),
});

const updateOf = (given: Fields): ProtectedUpdate => asStage(given);
const EXAMPLE = { group: 'Kenya', round: 3, protection: 'none', payload: Uint8Array.of(1, 2, 3, 0xff) };
const CANONICAL = encodeSubmission(updateOf(EXAMPLE)).bytes;

/** What becomes of bytes: a message, or the refusal; anything else that is thrown goes through. */
function outcomeOf(bytes: Uint8Array): ProtectedUpdate | PluralError {
  try {
    return decodeSubmission(bytes);
  } catch (thrown) {
    if (thrown instanceof PluralError && thrown.code === 'ROUND_REFUSED') return thrown;
    throw thrown;
  }
}

const refused = expect.objectContaining({ code: 'ROUND_REFUSED' });
const expectRefused = (bytes: Uint8Array): void => {
  expect(outcomeOf(bytes)).toEqual(refused);
};

/** Refused, or another message under another digest: nothing else may come of changed bytes. */
function expectOtherOrRefused(bytes: Uint8Array, original: { readonly digest: string }): void {
  const outcome = outcomeOf(bytes);
  if (outcome instanceof PluralError) return;
  const again = encodeSubmission(outcome);
  expect(Buffer.from(again.bytes).equals(bytes)).toBe(true);
  expect(again.digest).not.toBe(original.digest);
}

describe('encodeSubmission', () => {
  test('byte by byte as docs/protocol.md says', () => {
    const text = (value: string) => Buffer.from(value, 'utf8');
    expect(Buffer.from(CANONICAL)).toEqual(
      Buffer.concat([
        Uint8Array.of(0xa5),
        ...[Uint8Array.of(0x65), text('group'), Uint8Array.of(0x65), text('Kenya')],
        ...[Uint8Array.of(0x65), text('round'), Uint8Array.of(0x03)],
        ...[Uint8Array.of(0x66), text('format'), Uint8Array.of(0x01)],
        ...[Uint8Array.of(0x67), text('payload'), Uint8Array.of(0x44, 1, 2, 3, 0xff)],
        ...[Uint8Array.of(0x6a), text('protection'), Uint8Array.of(0x64), text('none')],
      ]),
    );
  });

  test('comes back as it was, under the digest of its bytes (property)', () => {
    fc.assert(
      fc.property(fields, (given) => {
        const { group, round, bytes, digest } = encodeSubmission(updateOf(given));
        expect({ group, round, digest }).toEqual({
          group: given.group,
          round: given.round,
          digest: sha256(bytes),
        });
        expect(decodeSubmission(bytes)).toEqual(given);
        expect(encodeSubmission(updateOf({ ...given })).digest).toBe(digest);
      }),
    );
  });

  test('what it decodes does not change with the bytes that it came from', () => {
    const bytes = CANONICAL.slice();
    const update = decodeSubmission(bytes);
    bytes.fill(0);
    expect(update).toEqual(EXAMPLE);
  });
});

describe('damaged bytes', () => {
  test('every truncation is refused', () => {
    for (let length = 0; length < CANONICAL.length; length++) expectRefused(CANONICAL.subarray(0, length));
  });

  test('bytes after the end are refused', () => {
    for (const extra of [0x00, 0xf6, 0xff]) expectRefused(Uint8Array.of(...CANONICAL, extra));
    expectRefused(Uint8Array.of(...CANONICAL, ...CANONICAL));
  });

  test('every changed byte is refused or makes another message', () => {
    const original = encodeSubmission(updateOf(EXAMPLE));
    const counts = { refused: 0, other: 0 };
    for (let position = 0; position < CANONICAL.length; position++) {
      for (let flip = 1; flip < 256; flip++) {
        const bytes = CANONICAL.slice();
        bytes[position]! ^= flip;
        expectOtherOrRefused(bytes, original);
        counts[outcomeOf(bytes) instanceof PluralError ? 'refused' : 'other']++;
      }
    }
    // Both happen: changes of the head and the keys are refused, those of payload, round and names are not.
    expect(Math.min(counts.refused, counts.other)).toBeGreaterThan(100);
  });

  test('several changed, missing and doubled bytes (property)', () => {
    const change = fc.tuple(
      fc.nat(CANONICAL.length - 1),
      fc.constantFrom('set', 'cut', 'insert'),
      fc.nat(255),
    );
    const original = encodeSubmission(updateOf(EXAMPLE));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = [...CANONICAL];
        for (const [position, kind, value] of changes) {
          bytes.splice(position, kind === 'insert' ? 0 : 1, ...(kind === 'cut' ? [] : [value]));
        }
        const damaged = Uint8Array.from(bytes);
        if (!Buffer.from(damaged).equals(CANONICAL)) expectOtherOrRefused(damaged, original);
      }),
      { numRuns: 500 },
    );
  });

  test('arbitrary bytes and arbitrary CBOR are refused (property)', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => expectRefused(bytes)));
    fc.assert(fc.property(fc.jsonValue(), (value) => expectRefused(encode(value))));
  });

  test('nesting deeper than the stack is refused', () => {
    expectRefused(new Uint8Array(1_000_000).fill(0x81));
  });

  test('more than the largest size is refused unread', () => {
    expect(outcomeOf(new Uint8Array(2 ** 30 + 1))).toMatchObject({
      message: expect.stringContaining('bytes'),
    });
  });
});

describe('other encodings of the same content', () => {
  const entry = (name: string) => {
    const [key, value] = [encode(name), encode((decode(CANONICAL) as Record<string, unknown>)[name])];
    return Buffer.concat([key, value]);
  };
  const NAMES = ['group', 'round', 'format', 'payload', 'protection'];
  const whole = (entries: readonly Uint8Array[], head = [0xa5], tail: readonly number[] = []) =>
    Buffer.concat([Uint8Array.from(head), ...entries, Uint8Array.from(tail)]);
  const replaced = (name: string, value: readonly number[]) =>
    whole(
      NAMES.map((other) =>
        other === name ? Buffer.concat([encode(name), Uint8Array.from(value)]) : entry(other),
      ),
    );

  test('the parts below do make the canonical encoding', () => {
    expect(whole(NAMES.map(entry)).equals(CANONICAL)).toBe(true);
    expect(replaced('round', [0x03]).equals(CANONICAL)).toBe(true);
  });

  test.each([
    ['keys in another order', whole([...NAMES].reverse().map(entry))],
    ['a map of indefinite length', whole(NAMES.map(entry), [0xbf], [0xff])],
    ['a longer map head', whole(NAMES.map(entry), [0xb8, 0x05])],
    ['a longer integer', replaced('round', [0x18, 0x03])],
    ['an eight-byte integer', replaced('round', [0x1b, 0, 0, 0, 0, 0, 0, 0, 3])],
    ['an integer as half float', replaced('round', [0xf9, 0x42, 0x00])],
    ['an integer as double', replaced('round', [0xfb, 0x40, 0x08, 0, 0, 0, 0, 0, 0])],
    ['a longer byte string head', replaced('payload', [0x58, 0x04, 1, 2, 3, 0xff])],
    ['a byte string in chunks', replaced('payload', [0x5f, 0x42, 1, 2, 0x42, 3, 0xff, 0xff])],
    ['a tagged value', replaced('round', [0xc1, 0x03])],
    ['text that is not UTF-8', replaced('group', [0x61, 0xff])],
    ['an overlong UTF-8 form', replaced('group', [0x62, 0xc1, 0x81])],
  ])('%s is refused', (_, bytes) => {
    expectRefused(bytes);
  });

  test.each([
    ['a key twice', whole([...NAMES, 'round'].map(entry), [0xa6])],
    ['one key more', whole([...NAMES.map(entry), encode('x'), encode(1)], [0xa6])],
    ['a key called __proto__', whole([...NAMES.map(entry), encode('__proto__'), encode({})], [0xa6])],
    ['a key missing', whole(NAMES.slice(1).map(entry), [0xa4])],
    ['another format', replaced('format', [0x02])],
    ['round 0', replaced('round', [0x00])],
    ['a negative round', replaced('round', [0x20])],
    ['a round beyond 2^53', replaced('round', [0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0])],
    ['an empty group', replaced('group', [0x60])],
    ['a group of 257 letters', replaced('group', [...encode('x'.repeat(257))])],
    ['a protection of 65 letters', replaced('protection', [...encode('x'.repeat(65))])],
    ['a payload that is text', replaced('payload', [0x61, 0x61])],
    ['a payload that is a list', replaced('payload', [0x81, 0x01])],
  ])('%s is refused', (_, bytes) => {
    expectRefused(bytes);
  });
});
