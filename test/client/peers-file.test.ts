import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePeers } from '../../src/client/peers-file.ts';
import { publicKeySchema } from '../../src/wire/identity.ts';
import { groupIdSchema } from '../../src/wire/run-definition.ts';

const KEY = 'ab'.repeat(32);
const OTHER = 'cd'.repeat(32);
const parse = (...lines: readonly string[]) => parsePeers(lines.join('\n'), 'peers.txt');

const digit = fc.constantFrom(...'0123456789abcdef');
const key = fc
  .string({ unit: digit, minLength: 64, maxLength: 64 })
  .filter((text) => publicKeySchema.safeParse(text).success);
/** Names as `groupIdSchema` has them, that lines can hold: no spaces at their ends. */
const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
  .filter((text) => text === text.trim() && groupIdSchema.safeParse(text).success);

describe('a list of peers', () => {
  test('has a key and a name in each line; the name may have spaces', () => {
    expect(parse(`${KEY} Kenya`, `${OTHER}\tSouth  Sudan`)).toEqual([
      ['Kenya', KEY],
      ['South  Sudan', OTHER],
    ]);
  });

  test('may have empty lines, comments, spaces around lines and line ends of Windows', () => {
    const text = `# keys, by telephone\r\n\r\n  ${KEY}   Kenya  \r\n   # more\r\n${OTHER} #1\r\n`;
    expect(parsePeers(text, 'peers.txt')).toEqual([
      ['Kenya', KEY],
      ['#1', OTHER],
    ]);
    expect(parse()).toEqual([]);
  });

  test('may have groups with names that objects have by themselves', () => {
    expect(parse(`${KEY} __proto__`, `${OTHER} constructor`)).toEqual([
      ['__proto__', KEY],
      ['constructor', OTHER],
    ]);
  });

  test('is read as it was written (property)', () => {
    const entries = fc.uniqueArray(fc.tuple(name, key), { selector: ([group]) => group, maxLength: 8 });
    const distinct = entries.filter((list) => new Set(list.map(([, of]) => of)).size === list.length);
    fc.assert(
      fc.property(distinct, (list) => {
        expect(parse(...list.map(([group, of]) => `${of} ${group}`))).toEqual(list);
      }),
    );
  });

  test.each([
    ['no name', KEY],
    ['no key', 'Kenya'],
    ['the name first', `Kenya ${KEY}`],
    ['a key cut short', `${KEY.slice(1)} Kenya`],
    ['a key with a digit more', `${KEY}0 Kenya`],
    ['a key in capitals', `${KEY.toUpperCase()} Kenya`],
    ['no space between', `${KEY}Kenya`],
    ['a control character in the name', `${KEY} Ken\u0007ya`],
    ['a name that is too long', `${KEY} ${'x'.repeat(257)}`],
    ['a comment behind a key', `${KEY} # Kenya\u0000`],
  ])('with %s is DATA_FORMAT, and the line is told', (_, line) => {
    expect(() => parse('# keys', `${OTHER} Uganda`, line)).toThrow(
      expect.objectContaining({
        code: 'DATA_FORMAT',
        message: expect.stringContaining('peers.txt, line 3:'),
        hint: expect.stringContaining('64 hex digits'),
      }),
    );
  });

  test.each([
    ['a group twice', [`${KEY} Kenya`, `${OTHER} Kenya`]],
    ['a key twice', [`${KEY} Kenya`, `${KEY} Uganda`]],
    ['a line twice', [`${KEY} Kenya`, `${KEY} Kenya`]],
    ['__proto__ twice', [`${KEY} __proto__`, `${OTHER} __proto__`]],
  ])('with %s is DATA_DUPLICATE, and the line is told', (_, lines) => {
    expect(() => parse(...lines)).toThrow(
      expect.objectContaining({
        code: 'DATA_DUPLICATE',
        message: expect.stringContaining('peers.txt, line 2:'),
      }),
    );
  });
});
