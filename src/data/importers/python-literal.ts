import { PluralError } from '../../core/errors.ts';

/** A value that Python's `repr` wrote: text, number, None, bool, list or dict. */
export type PythonValue = string | number | boolean | null | readonly PythonValue[] | PythonDict;
export type PythonDict = ReadonlyMap<string | number | boolean | null, PythonValue>;

/** Data nests three deep; the bound keeps a hostile file from exhausting the stack. */
const MAX_DEPTH = 32;

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
const NUMBER = /[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const KEYWORD = /(?:None|True|False)\b/y;
const SPACE = /[ \t\r\n]*/y;
const OCTAL = /[0-7]{1,3}/y;

interface Cursor {
  readonly text: string;
  at: number;
}

function fail({ text, at }: Cursor, expected: string): never {
  const found = at >= text.length ? 'the end' : `"${text.slice(at, at + 12)}"`;
  throw new PluralError(
    'DATA_FORMAT',
    `not a Python literal: expected ${expected} at character ${at + 1}, found ${found}`,
  );
}

/** The text that a sticky pattern matches at the cursor, which moves past it. */
function take(cursor: Cursor, pattern: RegExp): string | undefined {
  pattern.lastIndex = cursor.at;
  const match = pattern.exec(cursor.text)?.[0];
  if (match !== undefined) cursor.at += match.length;
  return match;
}

/** Skips space, then the given character if it is there. */
function skip(cursor: Cursor, character: string): boolean {
  take(cursor, SPACE);
  if (cursor.text[cursor.at] !== character) return false;
  cursor.at++;
  return true;
}

function readEscape(cursor: Cursor): string {
  const letter = cursor.text[cursor.at] ?? '';
  const simple = SIMPLE_ESCAPES[letter];
  if (simple !== undefined) {
    cursor.at++;
    return simple;
  }
  const octal = take(cursor, OCTAL);
  if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
  const digits = HEX_DIGITS[letter];
  if (digits === undefined) fail(cursor, 'an escape sequence');
  const hex = cursor.text.slice(cursor.at + 1, cursor.at + 1 + digits);
  const code = /^[0-9a-fA-F]+$/.test(hex) && hex.length === digits ? Number.parseInt(hex, 16) : Number.NaN;
  if (!(code <= 0x10ffff)) fail(cursor, `\\${letter} and ${digits} hex digits of a code point`);
  cursor.at += 1 + digits;
  return String.fromCodePoint(code);
}

function readString(cursor: Cursor, quote: string): string {
  const parts: string[] = [];
  let start = cursor.at;
  for (;;) {
    const character = cursor.text[cursor.at];
    if (character === undefined || character === '\n') fail(cursor, `a closing ${quote}`);
    if (character === quote) {
      parts.push(cursor.text.slice(start, cursor.at++));
      return parts.join('');
    }
    if (character === '\\') {
      parts.push(cursor.text.slice(start, cursor.at++), readEscape(cursor));
      start = cursor.at;
    } else {
      cursor.at++;
    }
  }
}

function readScalar(cursor: Cursor): string | number | boolean | null {
  if (skip(cursor, "'")) return readString(cursor, "'");
  if (skip(cursor, '"')) return readString(cursor, '"');
  const keyword = take(cursor, KEYWORD);
  if (keyword !== undefined) return keyword === 'None' ? null : keyword === 'True';
  const number = take(cursor, NUMBER);
  if (number === undefined) fail(cursor, 'a value');
  return Number(number);
}

/** Reads items up to the closing bracket; a comma after the last one is allowed, as in Python. */
function readItems(cursor: Cursor, close: string, readItem: () => void): void {
  while (!skip(cursor, close)) {
    readItem();
    if (skip(cursor, ',')) continue;
    if (!skip(cursor, close)) fail(cursor, `"," or "${close}"`);
    return;
  }
}

function readDict(cursor: Cursor, depth: number): PythonDict {
  const dict = new Map<string | number | boolean | null, PythonValue>();
  readItems(cursor, '}', () => {
    take(cursor, SPACE);
    const keyAt = cursor.at;
    const key = readScalar(cursor);
    if (dict.has(key)) fail({ text: cursor.text, at: keyAt }, 'a key that is not there already');
    if (!skip(cursor, ':')) fail(cursor, '":"');
    dict.set(key, readValue(cursor, depth + 1));
  });
  return dict;
}

function readValue(cursor: Cursor, depth: number): PythonValue {
  if (depth > MAX_DEPTH) fail(cursor, `at most ${MAX_DEPTH} levels of nesting`);
  if (skip(cursor, '{')) return readDict(cursor, depth);
  if (!skip(cursor, '[')) return readScalar(cursor);
  const list: PythonValue[] = [];
  readItems(cursor, ']', () => list.push(readValue(cursor, depth + 1)));
  return list;
}

/**
 * Reads one Python literal as `repr` writes it: strings in either quote, numbers, None, True, False, lists and dicts.
 * Strict: a repeated key, trailing text or anything else of Python is an error. Errors: DATA_FORMAT with the position.
 */
export function parsePythonLiteral(text: string): PythonValue {
  const cursor: Cursor = { text, at: 0 };
  const value = readValue(cursor, 0);
  take(cursor, SPACE);
  if (cursor.at < text.length) fail(cursor, 'the end');
  return value;
}
