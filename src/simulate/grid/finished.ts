import { join } from 'node:path';
import { configDigest } from '../../config/config.ts';
import { PluralError } from '../../core/errors.ts';
import { fileExists } from '../../core/files.ts';
import type { RunRecord } from '../../report/record.ts';
import { RECORD_FILE, REPORT_FILE, readRecord, writeReport } from '../../report/write.ts';
import { federatedStore } from '../federated-state.ts';
import type { Cell } from './grid.ts';

/**
 * The record of a cell whose run is done; null where it is not, or where its record is damaged: the run's own resume writes
 * it again. Errors: CHECKPOINT_MISMATCH where the folder holds a run of other settings or other data.
 */
export async function finishedRecord(
  folder: string,
  { config }: Cell,
  fingerprint: string,
): Promise<RunRecord | null> {
  if (!fileExists(join(folder, RECORD_FILE))) return null;
  const record = recordOrNull(folder);
  if (record === null) return null;
  if (record.configDigest !== configDigest(config)) {
    throw new PluralError('CHECKPOINT_MISMATCH', `${folder} holds a run with other settings`, {
      hint: 'Move that folder away; the run is made anew.',
    });
  }
  // Throws where its checkpoint is of other data.
  federatedStore(folder, fingerprint).load();
  if (!fileExists(join(folder, REPORT_FILE))) await writeReport(folder, record);
  return record;
}

function recordOrNull(folder: string): RunRecord | null {
  try {
    return readRecord(folder);
  } catch (thrown) {
    if (thrown instanceof PluralError && thrown.code === 'CHECKPOINT_CORRUPT') return null;
    throw thrown;
  }
}
