import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { csvHeader, csvRecords } from '../../../src/data/importers/csv-records.ts';
import { errorOf, temporaryFolder } from '../make-draft.ts';

function fileWith(content: string): string {
  const path = join(temporaryFolder(), 'rows.csv');
  writeFileSync(path, content);
  return path;
}

async function allOf(content: string, required: readonly string[] = ['a', 'b']): Promise<unknown[]> {
  const records: unknown[] = [];
  for await (const { row, values } of csvRecords(fileWith(content), required))
    records.push([row, Object.fromEntries(values)]);
  return records;
}

describe('csvRecords', () => {
  test('gives rows with spreadsheet numbers, quotes and line breaks resolved', async () => {
    expect(await allOf('\ufeffa,b\r\n1,"x, ""y""\nz"\r\n\r\n2,\r\n')).toEqual([
      [2, { a: '1', b: 'x, "y"\nz' }],
      [3, { a: '2', b: '' }],
    ]);
  });

  test.each([
    ['an open quote', 'a,b\n1,2\n3,"four', 'DATA_TRUNCATED', /rows\.csv, row 3: .*inside a quoted field/],
    [
      'a last row that is too short',
      'a,b\n1,2\n3',
      'DATA_TRUNCATED',
      /row 3: 1 column\(s\) where the header has 2/,
    ],
    ['a short row before the last', 'a,b\n1\n3,4\n', 'DATA_FORMAT', /row 2: 1 column/],
    ['a row that is too long', 'a,b\n1,2,3\n', 'DATA_FORMAT', /row 2: 3 column/],
    ['text after a closing quote', 'a,b\n1,"x"y\n', 'DATA_FORMAT', /row 2: not valid CSV/],
    ['an empty file', '', 'DATA_FORMAT', /is empty/],
    ['a missing column', 'a,c\n1,2\n', 'DATA_FORMAT', /no column "b"; found: a, c/],
    ['a repeated column', 'a,b,a\n1,2,3\n', 'DATA_FORMAT', /two columns named "a"/],
  ] as const)('refuses %s', async (_, content, code, message) => {
    const error = await errorOf(() => allOf(content));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  });

  test('suggests the name that was meant', async () => {
    expect((await errorOf(() => allOf('questio,weight\n', ['question']))).hint).toBe(
      'Rename the column "questio"?',
    );
  });

  test('names a file that is not there', async () => {
    const error = await errorOf(() => csvHeader(join(temporaryFolder(), 'none.csv')));
    expect([error.code, error.message]).toEqual(['FILE_NOT_FOUND', expect.stringContaining('none.csv')]);
  });

  test('reads a file larger than a stream chunk', async () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `${i},"text of ${i}"`);
    expect(await allOf(`a,b\n${lines.join('\n')}`)).toHaveLength(20_000);
  });
});
