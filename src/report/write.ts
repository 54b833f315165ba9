import { join } from 'node:path';
import type { z } from 'zod';
import { PluralError } from '../core/errors.ts';
import { fileExists, readFileText, writeFileAtomic } from '../core/files.ts';
import type { RunRecord } from './record.ts';
import { runRecordSchema } from './record-schema.ts';

/** Name of the record inside the folder of a run. */
export const RECORD_FILE = 'result.json';

/** Name of the page inside the folder of a run. */
export const REPORT_FILE = 'report.html';

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue === undefined ? 'no detail' : `${issue.path.join('.') || 'the whole file'}: ${issue.message}`;
}

function corrupt(path: string, detail: string, cause: unknown): PluralError {
  return new PluralError('CHECKPOINT_CORRUPT', `${path} is not the record of a run (${detail})`, {
    hint: 'The file was changed or written by another version. Run the experiment again into a new folder.',
    cause,
  });
}

function parsedJson(path: string): unknown {
  try {
    return JSON.parse(readFileText(path));
  } catch (thrown) {
    if (thrown instanceof PluralError) throw thrown;
    throw corrupt(path, 'not JSON', thrown);
  }
}

/**
 * Reads the record of a finished run, strictly.
 * Errors: RUN_NOT_FOUND without `result.json`, CHECKPOINT_CORRUPT where it does not parse, FILE_UNREADABLE.
 */
export function readRecord(folder: string): RunRecord {
  const path = join(folder, RECORD_FILE);
  if (!fileExists(path)) {
    throw new PluralError(
      'RUN_NOT_FOUND',
      `there is no finished run in ${folder}: ${RECORD_FILE} is missing`,
      {
        hint: 'Give the output folder of a run; one that was interrupted has to be resumed first.',
      },
    );
  }
  const parsed = runRecordSchema.safeParse(parsedJson(path));
  if (!parsed.success) throw corrupt(path, firstIssue(parsed.error), parsed.error);
  return parsed.data;
}

function nonFinitePath(value: unknown, path: string): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : path;
  if (value === null || typeof value !== 'object') return undefined;
  for (const [key, member] of Object.entries(value)) {
    const found = nonFinitePath(member, path === '' ? key : `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Writes `result.json` whole or not at all, and returns its path.
 * Errors: NOT_FINITE where a figure is NaN or infinite (JSON would turn it into null), WRITE_FAILED, DISK_FULL.
 */
export function writeRecord(folder: string, record: RunRecord): string {
  const path = join(folder, RECORD_FILE);
  const offender = nonFinitePath(record, '');
  if (offender !== undefined) {
    throw new PluralError('NOT_FINITE', `${offender} of the record for ${path} is not a finite number`, {
      hint: 'The run diverged: lower the learning rate, or look at the losses in the log.',
    });
  }
  writeFileAtomic(path, `${JSON.stringify(record, null, 2)}\n`);
  return path;
}

/** Writes `report.html` whole or not at all, and returns its path. Errors: WRITE_FAILED, DISK_FULL. */
export async function writeReport(folder: string, record: RunRecord): Promise<string> {
  const path = join(folder, REPORT_FILE);
  // The plot library takes a quarter of the start-up time of the command line: loaded when there is something to draw.
  const { renderReport } = await import('./html.ts');
  writeFileAtomic(path, renderReport(record));
  return path;
}
