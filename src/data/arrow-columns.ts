import {
  Dictionary,
  Field,
  Float64,
  Int32,
  List,
  makeData,
  Schema,
  Table,
  tableToIPC,
  Utf8,
  Vector,
  vectorFromArray,
} from 'apache-arrow';

/** One column of a table to write. */
export interface Column {
  readonly name: string;
  readonly nullable: boolean;
  readonly vector: Vector;
}

export function textColumn(name: string, values: readonly string[]): Column {
  return { name, nullable: false, vector: vectorFromArray(values, new Utf8()) };
}

export function optionalTextColumn(name: string, values: readonly (string | undefined)[]): Column {
  const cells = values.map((value) => value ?? null);
  return { name, nullable: true, vector: vectorFromArray(cells, new Utf8()) };
}

export function optionalNumberColumn(name: string, values: readonly (number | undefined)[]): Column {
  const cells = values.map((value) => value ?? null);
  return { name, nullable: true, vector: vectorFromArray(cells, new Float64()) };
}

/**
 * A dictionary-encoded text column. `id` must differ between the columns of one file; it is given because the library
 * otherwise counts up over the whole process, and equal tables would not give equal bytes.
 */
export function dictionaryColumn(name: string, values: readonly string[], id: number): Column {
  const type = new Dictionary(new Utf8(), new Int32(), id);
  return { name, nullable: false, vector: vectorFromArray(values, type) };
}

export function textListColumn(name: string, lists: readonly (readonly string[])[]): Column {
  const type = new List(new Field('item', new Utf8(), false));
  return { name, nullable: false, vector: vectorFromArray(lists, type) };
}

export function numberListColumn(name: string, lists: readonly Float64Array[]): Column {
  const valueOffsets = new Int32Array(lists.length + 1);
  for (const [row, list] of lists.entries()) valueOffsets[row + 1] = valueOffsets[row]! + list.length;
  const data = new Float64Array(valueOffsets[lists.length]!);
  for (const [row, list] of lists.entries()) data.set(list, valueOffsets[row]!);
  const child = makeData({ type: new Float64(), length: data.length, nullCount: 0, data });
  const type = new List(new Field('item', new Float64(), false));
  return {
    name,
    nullable: false,
    vector: new Vector([makeData({ type, length: lists.length, nullCount: 0, valueOffsets, child })]),
  };
}

/** The bytes of an Arrow IPC file with these columns; equal input gives equal bytes. */
export function arrowBytes(
  columns: readonly Column[],
  metadata: ReadonlyMap<string, string> = new Map(),
): Uint8Array {
  const fields = columns.map(({ name, nullable, vector }) => new Field(name, vector.type, nullable));
  const vectors = Object.fromEntries(columns.map(({ name, vector }) => [name, vector]));
  return tableToIPC(new Table(new Schema(fields, new Map(metadata)), vectors), 'file');
}
