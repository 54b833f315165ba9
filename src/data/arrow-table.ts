import { type Table, tableFromIPC, type Vector } from 'apache-arrow';
import { PluralError } from '../core/errors.ts';

/** First and last bytes of an Arrow IPC file. */
export const ARROW_MAGIC = 'ARROW1';

/** The error of a file that is cut off or damaged. */
export function damaged(file: string, what: string, cause?: unknown): PluralError {
  return new PluralError('DATA_TRUNCATED', `${file} ${what}`, {
    hint: 'The file is cut off or damaged. Get a complete copy, or import the survey again.',
    ...(cause === undefined ? {} : { cause }),
  });
}

/**
 * Opens the bytes of an Arrow IPC file. The parser can run on for ever on damaged bytes, so our own files are compared
 * with their digest before they come here; of foreign files only both ends can be checked.
 * Errors: DATA_FORMAT when it is no Arrow file, DATA_TRUNCATED when it does not end like one or cannot be parsed.
 */
export function arrowTable(bytes: Buffer, file: string): Table {
  const start = bytes.toString('latin1', 0, ARROW_MAGIC.length);
  if (start !== ARROW_MAGIC) {
    throw new PluralError('DATA_FORMAT', `${file} is not an Arrow IPC file`, {
      hint: 'Write the IPC file format (Feather version 2), not the stream format.',
    });
  }
  const end = bytes.toString('latin1', Math.max(ARROW_MAGIC.length, bytes.length - ARROW_MAGIC.length));
  if (end !== ARROW_MAGIC) throw damaged(file, 'ends before its Arrow footer');
  try {
    return tableFromIPC(bytes);
  } catch (thrown) {
    throw damaged(file, 'cannot be parsed as Arrow', thrown);
  }
}

function columnOf(table: Table, name: string, file: string): Vector {
  const column = table.getChild(name);
  if (column !== null) return column;
  const found = table.schema.fields.map((field) => String(field.name)).join(', ');
  throw new PluralError('DATA_FORMAT', `${file} has no column "${name}"; found: ${found}`);
}

/** All values of a column, each checked by a guard. Errors: DATA_FORMAT with row and column. */
export function columnValues<T>(
  table: Table,
  name: string,
  file: string,
  guard: (value: unknown) => value is T,
): T[] {
  const column = columnOf(table, name, file);
  return Array.from({ length: table.numRows }, (_, row) => {
    const value: unknown = column.get(row);
    if (guard(value)) return value;
    throw new PluralError(
      'DATA_FORMAT',
      `${file}, row ${row + 1}, column "${name}": a value of the wrong type`,
    );
  });
}

export const isText = (value: unknown): value is string => typeof value === 'string';
export const isTextOrNull = (value: unknown): value is string | null => value === null || isText(value);
export const isNumberOrNull = (value: unknown): value is number | null =>
  value === null || typeof value === 'number';
/** A list cell: Arrow gives a vector of its items. */
export const isList = (value: unknown): value is Vector =>
  typeof value === 'object' && value !== null && 'toArray' in value;
