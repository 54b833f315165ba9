import { readFileBytes } from '../../core/files.ts';
import { ARROW_MAGIC, arrowTable } from '../arrow-table.ts';
import { checkColumns } from './columns.ts';
import { firstBytes } from './first-bytes.ts';
import { defineImporter } from './importer.ts';
import { assembleLong, LONG_COLUMNS, type LongRecord, longOptions } from './long-format.ts';

function readRows(path: string): LongRecord[] {
  const table = arrowTable(readFileBytes(path), path);
  const found = table.schema.fields.map(({ name }) => String(name));
  checkColumns(path, found, LONG_COLUMNS);
  const columns = new Map(found.map((name) => [name, table.getChild(name)]));
  return Array.from({ length: table.numRows }, (_, index) => ({
    row: index + 1,
    value: (column: string): unknown => columns.get(column)?.get(index),
  }));
}

/** The generic long format as an Arrow IPC file (Feather version 2). */
export const arrow = defineImporter({
  name: 'arrow',
  describe: `Long Arrow IPC file: ${LONG_COLUMNS.join(', ')}; optional topic, respondents`,
  options: longOptions,
  recognises: async (path) => firstBytes(path, ARROW_MAGIC.length) === ARROW_MAGIC,
  read: (path, name, options) => assembleLong(readRows(path), path, name, options),
});
