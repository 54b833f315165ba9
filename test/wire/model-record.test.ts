import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { PluralError } from '../../src/core/errors.ts';
import { type Identity, identityOf } from '../../src/wire/identity.ts';
import {
  checkChain,
  type ModelRecord,
  modelRecordSchema,
  recordDigest,
  signRecord,
} from '../../src/wire/model-record.ts';

const aggregator = identityOf('1d'.repeat(32));
const run = sha256('run');
const expected = { run, aggregatorKey: aggregator.publicKey };

/** A chain of `length` records; `history` makes its models differ. */
function chain(length: number, history = 'one', signer: Identity = aggregator, of = run): ModelRecord[] {
  const records: ModelRecord[] = [];
  for (let round = 0; round < length; round++) {
    const last = records.at(-1);
    const previous = last === undefined ? null : recordDigest(last);
    records.push(
      signRecord(signer, {
        run: of,
        round,
        model: sha256(history, String(round)),
        previous,
        updates: round === 0 ? 0 : 5,
      }),
    );
  }
  return records;
}

function verdict(records: readonly ModelRecord[], known: ModelRecord | null = null): string {
  try {
    checkChain(records, expected, known);
  } catch (thrown) {
    if (thrown instanceof PluralError && thrown.code === 'AGGREGATOR_UNTRUSTED') return thrown.message;
    throw thrown;
  }
  return 'trusted';
}

describe('the chain of models', () => {
  test('is trusted from its start, and from any record on that is known', () => {
    const records = chain(6);
    expect(checkChain(records, expected, null)).toEqual(records[5]);
    for (let known = 0; known < 6; known++) {
      expect(checkChain(records.slice(known + 1), expected, records[known]!)).toEqual(records[5]);
    }
    expect(checkChain([], expected, records[3]!)).toEqual(records[3]);
    expect(checkChain([], expected, null)).toBeNull();
  });

  test('a gap, a repetition, another order, a start in the middle', () => {
    const records = chain(5);
    const [r0, r1, r2, r3] = records as [ModelRecord, ModelRecord, ModelRecord, ModelRecord];
    expect(verdict([r0, r2])).toMatch(/round 2: a round is missing/);
    expect(verdict([r0, r0])).toMatch(/a round is missing/);
    expect(verdict([r1, r0])).toMatch(/a round is missing/);
    expect(verdict([r1])).toMatch(/a round is missing/);
    expect(verdict([r3], r1)).toMatch(/a round is missing/);
    expect(verdict([r0], r3)).toMatch(/a round is missing/);
    expect(verdict([r3], r3)).toMatch(/a round is missing/);
  });

  test('another history is refused at its first record, wherever it begins', () => {
    const one = chain(5);
    const two = chain(5, 'two');
    for (let known = 0; known < 4; known++) {
      expect(verdict(two.slice(known + 1), one[known]!)).toMatch(
        new RegExp(`round ${known + 1}: it does not go on`),
      );
      expect(verdict([...one.slice(0, known + 1), ...two.slice(known + 1)])).toMatch(/does not go on/);
    }
  });

  test('records of another run or another key', () => {
    expect(verdict(chain(2, 'one', aggregator, sha256('other')))).toMatch(/of another run/);
    expect(verdict(chain(2, 'one', identityOf('2e'.repeat(32))))).toMatch(
      /signature is not that of the aggregator/,
    );
    const [first] = chain(1);
    const [, foreign] = chain(2, 'one', identityOf('2e'.repeat(32)));
    expect(verdict([foreign!], first!)).toMatch(/signature/);
  });

  test('a record in which anything was replaced', () => {
    const records = chain(3);
    const replacements = fc.oneof(
      fc.record({ round: fc.nat(5) }),
      fc.record({ model: fc.string().map((text) => sha256(text)) }),
      fc.record({ previous: fc.option(fc.string().map((text) => sha256(text))) }),
      fc.record({ updates: fc.nat(9) }),
      fc.record({ run: fc.string().map((text) => sha256(text)) }),
      fc.record({ signature: fc.constantFrom(...chain(3, 'two').map(({ signature }) => signature)) }),
    );
    fc.assert(
      fc.property(fc.nat(2), replacements, (at, replacement) => {
        const changed = { ...records[at]!, ...replacement };
        fc.pre(JSON.stringify(changed) !== JSON.stringify(records[at]));
        expect(verdict(records.with(at, changed))).toMatch(/signature/);
      }),
      { numRuns: 60 },
    );
  });

  test('the name of a record depends on all of it but the signature', () => {
    const [record] = chain(1);
    const { signature: _, ...content } = record!;
    expect(recordDigest({ ...record!, signature: '00'.repeat(64) })).toBe(recordDigest(record!));
    const reversed = Object.fromEntries(Object.entries(content).reverse());
    expect(recordDigest(modelRecordSchema.parse({ ...reversed, signature: record!.signature }))).toBe(
      recordDigest(record!),
    );
    for (const change of [
      { round: 1 },
      { updates: 1 },
      { model: run },
      { run: sha256('x') },
      { previous: run },
    ]) {
      expect(recordDigest({ ...record!, ...change })).not.toBe(recordDigest(record!));
    }
  });

  test('an unknown field is refused: it would not be signed', () => {
    const [record] = chain(1);
    expect(modelRecordSchema.safeParse({ ...record, extra: 1 }).success).toBe(false);
  });
});
