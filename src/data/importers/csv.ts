import { isFile } from '../../core/files.ts';
import { csvHeader, csvRecords } from './csv-records.ts';
import { defineImporter } from './importer.ts';
import { assembleLong, LONG_COLUMNS, type LongRecord, longOptions } from './long-format.ts';

async function* longRecords(path: string): AsyncGenerator<LongRecord> {
  for await (const { row, values } of csvRecords(path, LONG_COLUMNS)) {
    yield { row, value: (column) => values.get(column) };
  }
}

/** The generic long format as CSV, streamed. */
export const csv = defineImporter({
  name: 'csv',
  describe: `Long CSV: ${LONG_COLUMNS.join(', ')}; optional topic, respondents`,
  options: longOptions,
  async recognises(path) {
    if (!isFile(path)) return false;
    const header = await csvHeader(path);
    return header !== undefined && LONG_COLUMNS.every((column) => header.includes(column));
  },
  read: (path, name, options) => assembleLong(longRecords(path), path, name, options),
});
