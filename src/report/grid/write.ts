import { join } from 'node:path';
import { writeFileAtomic } from '../../core/files.ts';
import { REPORT_FILE } from '../write.ts';
import type { GridRecords } from './records.ts';
import type { GridSummary } from './summary.ts';

/** Name of the summary inside the folder of a grid. */
export const SUMMARY_FILE = 'summary.json';

/**
 * Writes `summary.json` and `report.html` of a grid, each whole or not at all; returns the path of the report.
 * Errors: WRITE_FAILED, DISK_FULL.
 */
export async function writeGrid(folder: string, records: GridRecords, summary: GridSummary): Promise<string> {
  writeFileAtomic(join(folder, SUMMARY_FILE), `${JSON.stringify(summary, null, 2)}\n`);
  // As for a run: the plot library is loaded when there is something to draw.
  const { renderGrid } = await import('./render.ts');
  const path = join(folder, REPORT_FILE);
  writeFileAtomic(path, renderGrid(records, summary));
  return path;
}
