/** A Parquet writer just large enough for the tests: one row group, one plain, uncompressed page per column. */

const STRUCT = 12;
const LIST = 9;
const BINARY = 8;
const I64 = 6;
const I32 = 5;

type ThriftField = readonly [id: number, type: number, bytes: Buffer];

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}

/** Thrift compact protocol: a struct is its fields in ascending order, then a zero. */
function struct(...fields: readonly ThriftField[]): Buffer {
  let last = 0;
  const parts = fields.map(([id, type, bytes]) => {
    const header = Buffer.from([(id - last) * 16 + type]);
    last = id;
    return Buffer.concat([header, bytes]);
  });
  return Buffer.concat([...parts, Buffer.from([0])]);
}

const number = (id: number, type: typeof I32 | typeof I64, value: number): ThriftField => [
  id,
  type,
  varint(value * 2),
];
const binary = (text: string): Buffer => Buffer.concat([varint(Buffer.byteLength(text)), Buffer.from(text)]);
const list = (id: number, type: number, items: readonly Buffer[]): ThriftField => [
  id,
  LIST,
  Buffer.concat([Buffer.from([items.length * 16 + type]), ...items]),
];

const DOUBLE = 5;
const BYTE_ARRAY = 6;

function plain(value: string | number): Buffer {
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return bytes;
  }
  const length = Buffer.alloc(4);
  length.writeUInt32LE(Buffer.byteLength(value));
  return Buffer.concat([length, Buffer.from(value)]);
}

function page(values: readonly (string | number)[]): Buffer {
  const data = Buffer.concat(values.map(plain));
  const dataHeader = struct(
    number(1, I32, values.length),
    number(2, I32, 0),
    number(3, I32, 3),
    number(4, I32, 3),
  );
  const header = struct(number(1, I32, 0), number(2, I32, data.length), number(3, I32, data.length), [
    5,
    STRUCT,
    dataHeader,
  ]);
  return Buffer.concat([header, data]);
}

/** The bytes of a Parquet file with required text and double columns, all of one length. */
export function parquetFile(columns: Readonly<Record<string, readonly (string | number)[]>>): Buffer {
  const names = Object.keys(columns);
  const rows = columns[names[0]!]!.length;
  const typeOf = (name: string): number => (typeof columns[name]![0] === 'number' ? DOUBLE : BYTE_ARRAY);
  let offset = 4;
  const pages = names.map((name) => page(columns[name]!));
  const chunks = names.map((name, index) => {
    const size = pages[index]!.length;
    const metadata = struct(
      number(1, I32, typeOf(name)),
      list(2, I32, [varint(0)]),
      list(3, BINARY, [binary(name)]),
      number(4, I32, 0),
      number(5, I64, rows),
      number(6, I64, size),
      number(7, I64, size),
      number(9, I64, offset),
    );
    const chunk = struct(number(2, I64, offset), [3, STRUCT, metadata]);
    offset += size;
    return chunk;
  });
  const root = struct([4, BINARY, binary('root')], number(5, I32, names.length));
  const leaves = names.map((name) => {
    const text: ThriftField[] = typeOf(name) === BYTE_ARRAY ? [number(6, I32, 0)] : [];
    return struct(number(1, I32, typeOf(name)), number(3, I32, 0), [4, BINARY, binary(name)], ...text);
  });
  const group = struct(list(1, STRUCT, chunks), number(2, I64, offset - 4), number(3, I64, rows));
  const footer = struct(
    number(1, I32, 1),
    list(2, STRUCT, [root, ...leaves]),
    number(3, I64, rows),
    list(4, STRUCT, [group]),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return Buffer.concat([Buffer.from('PAR1'), ...pages, footer, length, Buffer.from('PAR1')]);
}
