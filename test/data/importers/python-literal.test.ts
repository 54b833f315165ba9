import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PluralError } from '../../../src/core/errors.ts';
import { type PythonValue, parsePythonLiteral } from '../../../src/data/importers/python-literal.ts';

/** Writes text as Python's repr does: single quotes unless that needs an escape and double quotes do not. */
function reprText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = Array.from(text, (character) => {
    const code = character.codePointAt(0)!;
    if (character === '\\' || character === quote) return `\\${character}`;
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    if (code < 0x20 || (code >= 0x7f && code <= 0xa0)) return `\\x${code.toString(16).padStart(2, '0')}`;
    if (code >= 0xd800 && code <= 0xdfff) return `\\u${code.toString(16)}`;
    return code > 0xffff && code % 2 === 0 ? `\\U${code.toString(16).padStart(8, '0')}` : character;
  });
  return quote + escaped.join('') + quote;
}

function repr(value: PythonValue): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'string') return reprText(value);
  if (typeof value === 'number') return Object.is(value, -0) ? '-0.0' : String(value);
  if (value instanceof Map)
    return `{${[...value].map(([key, item]) => `${repr(key)}: ${repr(item)}`).join(', ')}}`;
  return `[${(value as readonly PythonValue[]).map(repr).join(', ')}]`;
}

const text = fc.string({
  unit: fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    fc.constantFrom("'", '"', '\\', '\n'),
  ),
});
const scalar = fc.oneof(
  text,
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
);
const { value: anyValue } = fc.letrec<{ value: PythonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    scalar,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(fc.tuple(text, tie('value')), { maxLength: 5 }).map((entries) => new Map(entries)),
  ),
}));

describe('parsePythonLiteral', () => {
  test('reads back whatever repr wrote', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(parsePythonLiteral(repr(value))).toEqual(value);
      }),
      { numRuns: 500 },
    );
  });

  test('refuses every cut-off list', () => {
    fc.assert(
      fc.property(
        fc.array(anyValue, { maxLength: 4 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (value, fraction) => {
          const whole = repr(value);
          const cut = whole.slice(0, Math.min(whole.length - 1, Math.floor(whole.length * fraction)));
          expect(() => parsePythonLiteral(cut)).toThrow(PluralError);
        },
      ),
    );
  });

  test('ends in a value or a PluralError for any text', () => {
    const noise = fc.string({ unit: fc.constantFrom(...'[]{}:,\'"\\ 0.1-+eNxuU'.split(''), 'None', 'True') });
    fc.assert(
      fc.property(noise, (source) => {
        try {
          parsePythonLiteral(source);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(PluralError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    [`'it\\'s "so"'`, `it's "so"`],
    [`"it's"`, "it's"],
    [`'\\xa0\\u00e9\\U0001F600\\101\\a'`, '\u00a0é😀A\u0007'],
    ['[ 1.0 , -2e-3, .5, 7., ]', [1, -0.002, 0.5, 7]],
    [
      "{'a': {'b': [None, True, False]}, 1: []}",
      new Map<unknown, unknown>([
        ['a', new Map([['b', [null, true, false]]])],
        [1, []],
      ]),
    ],
  ])('reads %s', (source, value) => {
    expect(parsePythonLiteral(source)).toEqual(value);
  });

  test.each([
    ["'open", /closing '.* character 6, found the end/],
    ["'two\nlines'", /closing '/],
    ["'\\q'", /an escape sequence at character 3/],
    ["'\\x4'", /2 hex digits/],
    ["'\\UFFFFFFFF'", /8 hex digits of a code point/],
    ['[1 2]', /"," or "\]" at character 4/],
    ["{'a' 1}", /":"/],
    ["{'a': 1, 'a': 2}", /a key that is not there already at character 10/],
    ['{[1]: 2}', /a value/],
    ['[1] x', /the end at character 5/],
    ['(1, 2)', /a value/],
    ['nan', /a value/],
    ['Nonesuch', /a value/],
    ['', /a value at character 1, found the end/],
  ])('refuses %j', (source, message) => {
    expect(() => parsePythonLiteral(source)).toThrow(message);
  });

  test('refuses nesting beyond its bound instead of exhausting the stack', () => {
    expect(() => parsePythonLiteral('['.repeat(100_000))).toThrow(/32 levels of nesting/);
    expect(parsePythonLiteral('['.repeat(32) + ']'.repeat(32))).toHaveLength(1);
  });
});
