import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { PluralError } from '../../core/errors.ts';
import { placeOf } from '../draft.ts';
import { checkColumns } from './columns.ts';

/** One record of a CSV file. */
export interface CsvRecord {
  /** Record number as a spreadsheet shows it: the header is row 1; blank lines do not count. */
  readonly row: number;
  /** Value by column name. */
  readonly values: ReadonlyMap<string, string>;
}

function csvFault(thrown: unknown, file: string, row: number): unknown {
  if (thrown instanceof CsvError) {
    const place = placeOf({ file, row });
    if (thrown.code === 'CSV_QUOTE_NOT_CLOSED') {
      return new PluralError('DATA_TRUNCATED', `${place}: the file ends inside a quoted field`, {
        hint: 'The file is cut off, or a quotation mark is missing. Get a complete copy.',
        cause: thrown,
      });
    }
    return new PluralError('DATA_FORMAT', `${place}: not valid CSV (${thrown.message})`, { cause: thrown });
  }
  if (!(thrown instanceof Error && 'code' in thrown && 'syscall' in thrown)) return thrown;
  const code = thrown.code === 'ENOENT' ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE';
  return new PluralError(code, `cannot read ${file} (${String(thrown.code)})`, { cause: thrown });
}

/** Raw rows with the reader's own row count, so that a fault can name the row it is in. */
async function* rawRows(file: string): AsyncGenerator<{ row: number; fields: readonly string[] }> {
  const parser = parse({ bom: true, relax_column_count: true, skip_empty_lines: true });
  // Whatever fails in the source surfaces in the loop below: pipeline destroys the parser with that error.
  pipeline(createReadStream(file), parser, () => {});
  let row = 1;
  try {
    for await (const fields of parser as AsyncIterable<readonly string[]>) yield { row: row++, fields };
  } catch (thrown) {
    throw csvFault(thrown, file, row);
  }
}

function columnCountError(
  file: string,
  row: number,
  found: number,
  wanted: number,
  isLast: boolean,
): PluralError {
  const what = `${placeOf({ file, row })}: ${found} column(s) where the header has ${wanted}`;
  return isLast && found < wanted
    ? new PluralError('DATA_TRUNCATED', `${what}, and it is the last row`, {
        hint: 'The file seems to be cut off. Get a complete copy.',
      })
    : new PluralError('DATA_FORMAT', what, { hint: 'Values that hold a comma must be quoted.' });
}

/**
 * Streams the records of a CSV file with a header.
 *
 * Errors: FILE_NOT_FOUND, FILE_UNREADABLE; DATA_FORMAT for an empty file, a missing column, a repeated column or a row
 * of the wrong length; DATA_TRUNCATED for an open quote or a last row that is too short.
 */
export async function* csvRecords(file: string, required: readonly string[]): AsyncGenerator<CsvRecord> {
  let header: readonly string[] | undefined;
  let odd: { row: number; found: number } | undefined;
  for await (const { row, fields } of rawRows(file)) {
    if (header === undefined) {
      header = fields.map((name) => name.trim());
      checkColumns(file, header, required);
      continue;
    }
    if (odd !== undefined) throw columnCountError(file, odd.row, odd.found, header.length, false);
    if (fields.length === header.length)
      yield { row, values: new Map(header.map((name, i) => [name, fields[i]!])) };
    else odd = { row, found: fields.length };
  }
  if (header === undefined) throw new PluralError('DATA_FORMAT', `${file} is empty`);
  if (odd !== undefined) throw columnCountError(file, odd.row, odd.found, header.length, true);
}

/** The column names of a CSV file; undefined where it is empty or not CSV. */
export async function csvHeader(file: string): Promise<readonly string[] | undefined> {
  try {
    for await (const { fields } of rawRows(file)) return fields.map((name) => name.trim());
  } catch (thrown) {
    if (thrown instanceof PluralError && thrown.code === 'DATA_FORMAT') return undefined;
    if (thrown instanceof PluralError && thrown.code === 'DATA_TRUNCATED') return undefined;
    throw thrown;
  }
  return undefined;
}
