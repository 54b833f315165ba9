import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ErrorCode, PluralError } from '../../src/core/errors.ts';
import { renderReport } from '../../src/report/html.ts';
import type { RunRecord } from '../../src/report/record.ts';
import { RECORD_FILE, readRecord, writeRecord, writeReport } from '../../src/report/write.ts';
import { recordFixture } from '../support/record-fixture.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pluralllm-record-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function failure(action: () => unknown): PluralError {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof PluralError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}

function codeOf(text: string): ErrorCode {
  writeFileSync(join(folder, RECORD_FILE), text);
  return failure(() => readRecord(folder)).code;
}

const record = recordFixture({ rounds: 2, unseenQuestions: true });

describe('the record of a run', () => {
  it('comes back as it was written', () => {
    expect(writeRecord(folder, record)).toBe(join(folder, RECORD_FILE));
    expect(readRecord(folder)).toEqual(record);
  });

  it('is not found in a folder without one', () => {
    const error = failure(() => readRecord(folder));
    expect(error.code).toBe('RUN_NOT_FOUND');
    expect(error.message).toContain(folder);
  });

  it('refuses what is not the record of a run', () => {
    expect(codeOf('{"format": 1')).toBe('CHECKPOINT_CORRUPT');
    expect(codeOf(JSON.stringify({ ...record, format: 2 }))).toBe('CHECKPOINT_CORRUPT');
    expect(codeOf(JSON.stringify({ ...record, extra: true }))).toBe('CHECKPOINT_CORRUPT');
    expect(codeOf(JSON.stringify({ ...record, startedAt: 'yesterday' }))).toBe('CHECKPOINT_CORRUPT');
  });

  it('names the member that is wrong', () => {
    const text = JSON.stringify({ ...record, bytes: { ...record.bytes, uploadTotal: null } });
    writeFileSync(join(folder, RECORD_FILE), text);
    expect(failure(() => readRecord(folder)).message).toContain('bytes.uploadTotal');
  });

  it('refuses any JSON that is not one, and never fails otherwise', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        expect(codeOf(text)).toBe('CHECKPOINT_CORRUPT');
      }),
    );
  });

  it('reads a record from before warnings were kept as having none', () => {
    const { warnings: _, ...before } = record;
    writeFileSync(join(folder, RECORD_FILE), JSON.stringify(before));
    expect(readRecord(folder)).toEqual({ ...record, warnings: [] });
  });

  it('refuses a record that lacks any other of its members', () => {
    const keys = Object.keys(record).filter((key) => key !== 'warnings');
    fc.assert(
      fc.property(fc.constantFrom(...keys), (key) => {
        const rest = Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));
        expect(codeOf(JSON.stringify(rest))).toBe('CHECKPOINT_CORRUPT');
      }),
    );
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])(
    'refuses to write %d and keeps what was there',
    (figure) => {
      writeRecord(folder, record);
      const broken: RunRecord = { ...record, bytes: { ...record.bytes, uploadTotal: figure } };
      const error = failure(() => writeRecord(folder, broken));
      expect(error.code).toBe('NOT_FINITE');
      expect(error.message).toContain('bytes.uploadTotal');
      expect(readRecord(folder)).toEqual(record);
    },
  );
});

describe('the page of a run', () => {
  it('is written whole, into a folder that it makes, and leaves nothing else there', async () => {
    const nested = join(folder, 'runs', 'first');
    const path = await writeReport(nested, record);
    expect(readFileSync(path, 'utf8')).toBe(renderReport(record));
    expect(readdirSync(nested)).toEqual(['report.html']);
  });

  it('says where it could not be written', async () => {
    writeFileSync(join(folder, 'taken'), '');
    await expect(writeReport(join(folder, 'taken'), record)).rejects.toMatchObject({
      code: 'WRITE_FAILED',
      message: expect.stringContaining('taken'),
    });
  });
});
