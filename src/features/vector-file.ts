import {
  DataType,
  Field,
  FixedSizeList,
  Float32,
  Int32,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableToIPC,
  Utf8,
  type Vector,
  vectorFromArray,
} from 'apache-arrow';
import { PluralError } from '../core/errors.ts';
import { writeFileAtomic } from '../core/files.ts';
import { arrowTable } from '../data/arrow-table.ts';
import type { Question } from '../data/survey.ts';
import type { Features } from './features.ts';

/** Vectors of (question, option) pairs as a file holds them; row i of everything belongs together. */
export interface VectorTable {
  readonly ids: readonly string[];
  readonly options: Int32Array;
  readonly width: number;
  /** Row-major, shape [rows, width]. */
  readonly values: Float32Array;
}

/** The bytes of an Arrow IPC file with columns question_id (text), option (int32), embedding (float32 list). */
export function encodeVectors({ ids, options, width, values }: VectorTable): Uint8Array {
  const item = new Field('item', new Float32(), false);
  const list = new FixedSizeList(width, item);
  const schema = new Schema([
    new Field('question_id', new Utf8(), false),
    new Field('option', new Int32(), false),
    new Field('embedding', list, false),
  ]);
  const child = makeData({ type: new Float32(), data: values });
  const children = [
    vectorFromArray(ids, new Utf8()).data[0]!,
    makeData({ type: new Int32(), data: options }),
    makeData({ type: list, length: ids.length, child }),
  ];
  const data = makeData({ type: new Struct(schema.fields), length: ids.length, children });
  return tableToIPC(new Table(schema, [new RecordBatch(schema, data)]), 'file');
}

function columnOf(table: Table, name: string, path: string): Vector {
  const column = table.getChild(name);
  if (column === null) {
    const names = table.schema.fields.map((field) => field.name);
    throw new PluralError('DATA_FORMAT', `${path} has no column "${name}"`, {
      hint: `Its columns are ${names.join(', ')}; needed are the question's id, option and embedding.`,
    });
  }
  if (column.nullCount > 0) {
    throw new PluralError('DATA_FORMAT', `${path} has ${column.nullCount} empty cells in column "${name}"`);
  }
  return column;
}

function typeError(path: string, name: string, found: DataType, wanted: string): PluralError {
  return new PluralError('DATA_FORMAT', `column "${name}" of ${path} is ${String(found)}, wanted ${wanted}`);
}

function readOptions(column: Vector, path: string): Int32Array {
  if (!DataType.isInt(column.type)) throw typeError(path, 'option', column.type, 'int32');
  return Int32Array.from({ length: column.length }, (_, row) => Number(column.get(row)));
}

function readIds(column: Vector, name: string, path: string): string[] {
  const { type } = column;
  const values = DataType.isDictionary(type) ? type.dictionary : type;
  if (!DataType.isInt(values) && !DataType.isUtf8(values) && !DataType.isLargeUtf8(values)) {
    throw typeError(path, name, type, 'text or integer');
  }
  return Array.from({ length: column.length }, (_, row) => String(column.get(row)));
}

/** The numbers of one list cell. Only float32 and float64 lists get here, whose arrays are plain numbers. */
function listCell(column: Vector, row: number): ArrayLike<number> {
  const cell: Vector = column.get(row);
  return cell.toArray();
}

function isNumberList(type: DataType): boolean {
  if (!DataType.isFixedSizeList(type) && !DataType.isList(type)) return false;
  const item: DataType = type.children[0]!.type;
  return DataType.isFloat(item) && item.ArrayType !== Uint16Array;
}

function readValues(column: Vector, path: string): { width: number; values: Float32Array } {
  if (!isNumberList(column.type)) throw typeError(path, 'embedding', column.type, 'list of float32');
  const width = column.length === 0 ? 0 : listCell(column, 0).length;
  const values = new Float32Array(column.length * width);
  for (let row = 0; row < column.length; row++) {
    const cell = listCell(column, row);
    if (cell.length !== width) {
      throw new PluralError(
        'FEATURES_WIDTH',
        `row ${row} of ${path} has ${cell.length} numbers, row 0 has ${width}`,
      );
    }
    values.set(cell, row * width);
  }
  return { width, values };
}

/**
 * Reads an Arrow IPC file of vectors.
 * Errors: DATA_TRUNCATED for a cut file, DATA_FORMAT for another format or other columns, FEATURES_WIDTH.
 */
export function readVectors(bytes: Buffer, path: string, idColumn = 'question_id'): VectorTable {
  const table = arrowTable(bytes, path);
  return {
    ids: readIds(columnOf(table, idColumn, path), idColumn, path),
    options: readOptions(columnOf(table, 'option', path), path),
    ...readValues(columnOf(table, 'embedding', path), path),
  };
}

/** Writes computed features as a file that the `arrow` provider reads back. Errors: WRITE_FAILED, DISK_FULL. */
export function writeFeatures(path: string, questions: readonly Question[], features: Features): void {
  const ids = questions.flatMap(({ id, options }) => options.map(() => id));
  const options = Int32Array.from(questions.flatMap((question) => [...question.options.keys()]));
  writeFileAtomic(path, encodeVectors({ ids, options, width: features.width, values: features.rows }));
}
