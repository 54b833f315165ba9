import { decode, encode } from 'cborg';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asStage } from '../../src/core/brand.ts';
import { sha256 } from '../../src/core/digest.ts';
import { PluralError } from '../../src/core/errors.ts';
import type { ProtectedUpdate } from '../../src/wire/stages.ts';
import {
  checkOrigin,
  decodeSubmission,
  encodeSubmission,
  type ReceivedUpdate,
  viewSubmission,
} from '../../src/wire/submission.ts';

interface Fields {
  run: string;
  step: number;
  model: string;
  group: string;
  round: number;
  protection: string;
  payload: Uint8Array;
}

const hexDigit = fc.constantFrom(...'0123456789abcdef');
const fields = fc.record<Fields>({
  run: fc.string({ minLength: 1, maxLength: 128 }),
  step: fc.nat(),
  model: fc.string({ unit: hexDigit, minLength: 64, maxLength: 64 }),
  group: fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
  round: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  protection: fc.string({ minLength: 1, maxLength: 64 }),
  payload: fc.uint8Array({ maxLength: 40 }),
});

function encoded({ run, step, model, group, round, protection, payload }: Fields) {
  const update: ProtectedUpdate = asStage({ group, round, protection, payload });
  return encodeSubmission(update, { run, step, model });
}

const fieldsOf = ({ origin, update }: ReceivedUpdate): Fields => ({ ...origin, ...update });

const EXAMPLE: Fields = {
  run: 'r1',
  group: 'Kenya',
  round: 3,
  step: 0,
  model: '0123456789abcdef'.repeat(4),
  protection: 'none',
  payload: Uint8Array.of(1, 2, 3, 0xff),
};
/** A copy: a Buffer that is sliced would share its memory. */
const CANONICAL = Uint8Array.from(encoded(EXAMPLE).bytes);

/** What becomes of bytes: a message, or the refusal; anything else that is thrown goes through. */
function outcomeOf(bytes: Uint8Array): ReceivedUpdate | PluralError {
  try {
    return decodeSubmission(bytes);
  } catch (thrown) {
    if (thrown instanceof PluralError && thrown.code === 'UPDATE_MALFORMED') return thrown;
    throw thrown;
  }
}

const refused = expect.objectContaining({ code: 'UPDATE_MALFORMED' });
const expectRefused = (bytes: Uint8Array): void => {
  expect(outcomeOf(bytes)).toEqual(refused);
};

/** Refused, or another message under another digest: nothing else may come of changed bytes. */
function expectOtherOrRefused(bytes: Uint8Array, original: { readonly digest: string }): void {
  const outcome = outcomeOf(bytes);
  if (outcome instanceof PluralError) return;
  const again = encoded(fieldsOf(outcome));
  expect(Buffer.from(again.bytes).equals(bytes)).toBe(true);
  expect(again.digest).not.toBe(original.digest);
}

describe('encodeSubmission', () => {
  test('byte by byte as docs/protocol.md says', () => {
    const text = (value: string) => Buffer.from(value, 'utf8');
    expect(Buffer.from(CANONICAL)).toEqual(
      Buffer.concat([
        Uint8Array.of(0xa8),
        ...[Uint8Array.of(0x63), text('run'), Uint8Array.of(0x62), text('r1')],
        ...[Uint8Array.of(0x64), text('step'), Uint8Array.of(0x00)],
        ...[Uint8Array.of(0x65), text('group'), Uint8Array.of(0x65), text('Kenya')],
        ...[Uint8Array.of(0x65), text('model'), Uint8Array.of(0x78, 0x40), text(EXAMPLE.model)],
        ...[Uint8Array.of(0x65), text('round'), Uint8Array.of(0x03)],
        ...[Uint8Array.of(0x66), text('format'), Uint8Array.of(0x02)],
        ...[Uint8Array.of(0x67), text('payload'), Uint8Array.of(0x44, 1, 2, 3, 0xff)],
        ...[Uint8Array.of(0x6a), text('protection'), Uint8Array.of(0x64), text('none')],
      ]),
    );
  });

  test('comes back as it was, under the digest of its bytes (property)', () => {
    fc.assert(
      fc.property(fields, (given) => {
        const { group, round, step, bytes, digest } = encoded(given);
        expect({ group, round, step, digest }).toEqual({
          group: given.group,
          round: given.round,
          step: given.step,
          digest: sha256(bytes),
        });
        expect(fieldsOf(decodeSubmission(bytes))).toEqual(given);
        expect(encoded({ ...given }).digest).toBe(digest);
        expect(Uint8Array.from(viewSubmission(bytes).update.payload)).toEqual(given.payload);
      }),
    );
  });

  test('what it decodes does not change with the bytes that it came from', () => {
    const bytes = CANONICAL.slice();
    const update = decodeSubmission(bytes);
    bytes.fill(0);
    expect(fieldsOf(update)).toEqual(EXAMPLE);
  });
});

test('a view says the same, and its payload is a part of the bytes', () => {
  const bytes = CANONICAL.slice();
  const viewed = viewSubmission(bytes);
  expect({ ...fieldsOf(viewed), payload: Uint8Array.from(viewed.update.payload) }).toEqual(EXAMPLE);
  expect(viewed.update.payload.buffer).toBe(bytes.buffer);
  expect(() => viewSubmission(bytes.subarray(1))).toThrow(refused);
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
    const original = encoded(EXAMPLE);
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
    const original = encoded(EXAMPLE);
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
  const NAMES = ['run', 'step', 'group', 'model', 'round', 'format', 'payload', 'protection'];
  const whole = (entries: readonly Uint8Array[], head = [0xa8], tail: readonly number[] = []) =>
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
    ['a longer map head', whole(NAMES.map(entry), [0xb8, 0x08])],
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
    ['a key twice', whole([...NAMES, 'round'].map(entry), [0xa9])],
    ['one key more', whole([...NAMES.map(entry), encode('x'), encode(1)], [0xa9])],
    ['a key called __proto__', whole([...NAMES.map(entry), encode('__proto__'), encode({})], [0xa9])],
    ['a key missing', whole(NAMES.slice(1).map(entry), [0xa7])],
    ['another format', replaced('format', [0x01])],
    ['round 0', replaced('round', [0x00])],
    ['a negative round', replaced('round', [0x20])],
    ['a round beyond 2^53', replaced('round', [0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0])],
    ['a negative step', replaced('step', [0x20])],
    ['a run without a name', replaced('run', [0x60])],
    ['a run of 129 letters', replaced('run', [...encode('x'.repeat(129))])],
    ['a model digest of 63 digits', replaced('model', [...encode('a'.repeat(63))])],
    ['a model digest of 65 digits', replaced('model', [...encode('a'.repeat(65))])],
    ['a model digest in upper case', replaced('model', [...encode('A'.repeat(64))])],
    ['an empty group', replaced('group', [0x60])],
    ['a group of 257 letters', replaced('group', [...encode('x'.repeat(257))])],
    ['a protection of 65 letters', replaced('protection', [...encode('x'.repeat(65))])],
    ['a payload that is text', replaced('payload', [0x61, 0x61])],
    ['a payload that is a list', replaced('payload', [0x81, 0x01])],
  ])('%s is refused', (_, bytes) => {
    expectRefused(bytes);
  });
});

describe('checkOrigin', () => {
  const received = decodeSubmission(CANONICAL);
  const { run, model } = EXAMPLE;

  test('lets through what belongs to this run and this model', () => {
    checkOrigin(received, { run, model });
  });

  test.each([
    ['run', { run: 'r2', model }],
    ['model', { run, model: 'f'.repeat(64) }],
  ])('another %s is refused, by name', (part, expected) => {
    expect(() => checkOrigin(received, expected)).toThrow(
      expect.objectContaining({
        code: 'UPDATE_OF_ANOTHER_MODEL',
        message: expect.stringContaining(`"Kenya" in round 3: its ${part} is`),
      }),
    );
  });
});
