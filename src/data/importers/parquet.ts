import { parquetMetadata, parquetReadObjects, parquetSchema } from 'hyparquet';
import { PluralError } from '../../core/errors.ts';
import { readFileBytes } from '../../core/files.ts';
import { checkColumns } from './columns.ts';
import { firstBytes } from './first-bytes.ts';
import { defineImporter } from './importer.ts';
import {
  assembleLong,
  LONG_COLUMNS,
  type LongRecord,
  longOptions,
  OPTIONAL_LONG_COLUMNS,
} from './long-format.ts';

const MAGIC = 'PAR1';

/** A parquet file begins and ends with its magic number, so that a cut-off copy shows. */
function checkMagic(path: string, bytes: Buffer): void {
  const start = bytes.toString('latin1', 0, MAGIC.length);
  if (start !== MAGIC) throw new PluralError('DATA_FORMAT', `${path} is not a Parquet file`);
  const end = bytes.toString('latin1', Math.max(MAGIC.length, bytes.length - MAGIC.length));
  if (end === MAGIC) return;
  throw new PluralError('DATA_TRUNCATED', `${path} ends before its Parquet footer`, {
    hint: 'The file is cut off. Get a complete copy.',
  });
}

function unreadable(path: string, thrown: unknown): PluralError {
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new PluralError('DATA_FORMAT', `${path}: cannot be read as Parquet (${reason})`, {
    hint: 'Write it uncompressed or with Snappy compression.',
    cause: thrown,
  });
}

async function readRows(path: string): Promise<LongRecord[]> {
  const bytes = readFileBytes(path);
  checkMagic(path, bytes);
  const file = new Uint8Array(bytes).buffer;
  try {
    const metadata = parquetMetadata(file);
    const found = parquetSchema(metadata).children.map(({ element }) => element.name);
    checkColumns(path, found, LONG_COLUMNS);
    const columns = [...LONG_COLUMNS, ...OPTIONAL_LONG_COLUMNS.filter((column) => found.includes(column))];
    const rows: Record<string, unknown>[] = await parquetReadObjects({ file, metadata, columns });
    return rows.map((row, index) => ({ row: index + 1, value: (column) => row[column] }));
  } catch (thrown) {
    throw thrown instanceof PluralError ? thrown : unreadable(path, thrown);
  }
}

/** The generic long format as Parquet. */
export const parquet = defineImporter({
  name: 'parquet',
  describe: `Long Parquet: ${LONG_COLUMNS.join(', ')}; optional topic, respondents`,
  options: longOptions,
  recognises: async (path) => firstBytes(path, MAGIC.length) === MAGIC,
  read: async (path, name, options) => assembleLong(await readRows(path), path, name, options),
});
