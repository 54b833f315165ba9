import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { readCheckpoint, type Storable, writeCheckpoint } from '../../src/training/checkpoint.ts';

const folder = mkdtempSync(join(tmpdir(), 'pluralllm-checkpoint-'));
const path = join(folder, 'sub', 'a.checkpoint');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CONTENT: Storable = {
  round: 3,
  losses: [0.5, -1.25, 1e300],
  parameters: Uint8Array.of(0, 1, 254, 255),
  name: 'né',
  nested: { nothing: null, yes: true, list: [[], {}] },
};

/** Everything a checkpoint may hold. */
const storable: fc.Arbitrary<Storable> = fc.letrec<{ value: Storable }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true }).map((value) => value + 0),
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array(),
    fc.array(tie('value')),
    fc.dictionary(fc.string(), tie('value'), { noNullPrototype: true }),
  ),
})).value;

describe('checkpoints', () => {
  test('come back as they were written (property)', () => {
    fc.assert(
      fc.property(storable, (content) => {
        writeCheckpoint(path, content);
        expect(readCheckpoint(path)).toEqual(content);
      }),
      { numRuns: 60 },
    );
  });

  test('are a head line, the digest of the content, and the content, as docs/protocol.md says', () => {
    writeCheckpoint(path, [1, Uint8Array.of(7)]);
    const body = Buffer.from('82014107', 'hex');
    const head = Buffer.from(`pluralllm checkpoint 2\n${sha256(body)}`);
    expect(readFileSync(path).equals(Buffer.concat([head, body]))).toBe(true);
  });

  test('the same content gives the same bytes', () => {
    writeCheckpoint(path, { b: 1, a: 2 });
    const first = readFileSync(path);
    writeCheckpoint(path, { a: 2, b: 1 });
    expect(readFileSync(path).equals(first)).toBe(true);
  });

  test('none is null', () => {
    expect(readCheckpoint(join(folder, 'none'))).toBeNull();
  });
});

describe('damage', () => {
  writeCheckpoint(path, CONTENT);
  const whole = readFileSync(path);
  const spoilt = join(folder, 'spoilt');
  const expectCorrupt = (bytes: Uint8Array, what: string) => {
    writeFileSync(spoilt, bytes);
    expect(() => readCheckpoint(spoilt), what).toThrow(
      expect.objectContaining({ code: 'CHECKPOINT_CORRUPT', message: expect.stringContaining(spoilt) }),
    );
  };

  test('any changed byte is CHECKPOINT_CORRUPT', () => {
    for (let position = 0; position < whole.length; position++) {
      for (const flip of [0x01, 0x20, 0x80]) {
        const bytes = Uint8Array.from(whole);
        bytes[position]! ^= flip;
        expectCorrupt(bytes, `byte ${position} xor ${flip}`);
      }
    }
  });

  test('any missing byte is CHECKPOINT_CORRUPT', () => {
    for (let position = 0; position < whole.length; position++) {
      expectCorrupt(
        Buffer.concat([whole.subarray(0, position), whole.subarray(position + 1)]),
        `without ${position}`,
      );
      expectCorrupt(whole.subarray(0, position), `first ${position} bytes`);
    }
  });

  test('bytes added at either end are CHECKPOINT_CORRUPT', () => {
    expectCorrupt(Buffer.concat([whole, Uint8Array.of(0)]), 'at the end');
    expectCorrupt(Buffer.concat([Uint8Array.of(0), whole]), 'at the start');
  });
});
