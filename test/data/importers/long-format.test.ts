import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Float64, tableFromArrays, tableToIPC, Utf8, vectorFromArray } from 'apache-arrow';
import { describe, expect, test } from 'vitest';
import { importSurvey } from '../../../src/data/import.ts';
import type { Survey } from '../../../src/data/survey.ts';
import { errorOf, temporaryFolder } from '../make-draft.ts';
import { parquetFile } from './parquet-file.ts';

const COLUMNS = {
  question_id: ['q1', 'q2', 'q1', 'q1', 'q2', 'q1', 'q2'],
  question: ['Tea?', 'Über "x",\nwhat?', 'Tea?', 'Tea?', 'Über "x",\nwhat?', 'Tea?', 'Über "x",\nwhat?'],
  option: ['yes', 'a', 'no', 'no', 'b', 'yes', 'a'],
  group: ['south', 'south', 'south', 'north', 'south', 'north', 'north'],
  weight: [3, 1, 1, 2, 4, 2, 5],
};

function csvOf(columns: Readonly<Record<string, readonly (string | number)[]>>): string {
  const rows = Object.values(columns)[0]!.map((_, row) =>
    Object.values(columns).map((values) => values[row]!),
  );
  return [Object.keys(columns), ...rows]
    .map((row) => row.map((cell) => `"${String(cell).replaceAll('"', '""')}"`).join(','))
    .join('\n');
}

function arrowOf(columns: Readonly<Record<string, readonly (string | number)[]>>): Uint8Array {
  const vectors = Object.entries(columns).map(([name, values]) => [
    name,
    typeof values[0] === 'number'
      ? vectorFromArray(values, new Float64())
      : vectorFromArray(values, new Utf8()),
  ]);
  return tableToIPC(tableFromArrays(Object.fromEntries(vectors)), 'file');
}

function fileWith(name: string, content: string | Uint8Array): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, content);
  return path;
}

function expectSample(survey: Survey): void {
  expect(survey.name).toBe('long');
  expect(survey.questions).toEqual([
    { id: 'q1', text: 'Tea?', options: ['yes', 'no'] },
    { id: 'q2', text: 'Über "x",\nwhat?', options: ['a', 'b'] },
  ]);
  expect(survey.groups.map(({ id }) => id)).toEqual(['south', 'north']);
  expect(survey.answers.map((own) => own.map(({ distribution }) => [...distribution]))).toEqual([
    [
      [0.75, 0.25],
      [0.2, 0.8],
    ],
    [
      [0.5, 0.5],
      [1, 0],
    ],
  ]);
}

describe('the long format', () => {
  test.each([
    ['csv', csvOf(COLUMNS)],
    ['parquet', parquetFile(COLUMNS)],
    ['arrow', arrowOf(COLUMNS)],
  ])('gives the same survey from %s, recognised by its content', async (format, content) => {
    const imported = await importSurvey({ format: 'auto', path: fileWith('long.data', content) });
    expect(imported.format).toBe(format);
    expect(imported.warnings).toEqual([
      {
        code: 'option-filled-with-zero',
        count: 1,
        message: expect.stringMatching(/row \d, column "weight" \(group "north"\)/),
      },
    ]);
    expectSample(imported.survey);
  });

  test('takes topic and respondents where they are given', async () => {
    const more = {
      ...COLUMNS,
      topic: COLUMNS.question_id.map((id) => `on ${id}`),
      respondents: [8, 5, 8, 4, 5, 4, 9],
    };
    for (const content of [csvOf(more), parquetFile(more), arrowOf(more)]) {
      const { survey } = await importSurvey({ format: 'auto', path: fileWith('long.data', content) });
      expect(survey.questions.map(({ topic }) => topic)).toEqual(['on q1', 'on q2']);
      expect(survey.answers.map((own) => own.map(({ respondents }) => respondents))).toEqual([
        [8, 5],
        [4, 9],
      ]);
    }
  });

  test('warns about shares that miss a part, but not about counts', async () => {
    const shares = csvOf({ ...COLUMNS, weight: [0.6, 0.2, 0.2, 0.5, 0.8, 0.5, 1] });
    const path = fileWith('long.csv', shares);
    const found = async (options: object) =>
      (await importSurvey({ format: 'csv', path, options })).warnings.map(({ code }) => code);
    expect(await found({})).toContain('shares-renormalised');
    expect(await found({ weights: 'counts' })).not.toContain('shares-renormalised');
  });

  test('keeps the provenance it is told', async () => {
    const options = { source: 'Our own poll', licence: 'CC0', attribution: 'us' };
    const { survey } = await importSurvey({
      format: 'csv',
      path: fileWith('long.csv', csvOf(COLUMNS)),
      name: 'poll',
      options,
    });
    expect([survey.name, survey.provenance]).toEqual(['poll', options]);
  });

  test.each([
    [
      'a weight that is no number',
      { weight: [3, 1, 'many', 2, 4, 2, 5] },
      'DATA_BAD_WEIGHT',
      /row 4, column "weight": the value is "many"/,
    ],
    ['an empty weight', { weight: [3, 1, 1, '', 4, 2, 5] }, 'DATA_BAD_WEIGHT', /row 5, column "weight"/],
    ['a negative weight', { weight: [3, -1, 1, 2, 4, 2, 5] }, 'DATA_BAD_WEIGHT', /row 3, column "weight"/],
    [
      'the same option twice',
      { option: ['yes', 'a', 'yes', 'no', 'b', 'yes', 'a'] },
      'DATA_DUPLICATE',
      /row 4, column "option"/,
    ],
    [
      'a question that changes its text',
      { question: ['Tea?', 'x', 'Tee?', 'Tea?', 'x', 'Tea?', 'x'] },
      'DATA_FORMAT',
      /row 4, column "question": differs.*row 2/,
    ],
    [
      'an empty group',
      { group: ['south', '', 'south', 'n', 's', 'n', 'n'] },
      'DATA_FORMAT',
      /row 3, column "group": the cell is empty/,
    ],
    [
      'a question with one option',
      { option: ['yes', 'a', 'no', 'no', 'a', 'yes', 'a'], group: ['s', 's', 's', 'n', 't', 'n', 'n'] },
      'DATA_OPTION_COUNT',
      /row 3.*"q2" has 1 option/,
    ],
  ])('refuses %s', async (_, change, code, message) => {
    const path = fileWith('long.csv', csvOf({ ...COLUMNS, ...change }));
    const error = await errorOf(() => importSurvey({ format: 'csv', path }));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  });

  test.each([
    ['parquet', parquetFile(COLUMNS)],
    ['arrow', Buffer.from(arrowOf(COLUMNS))],
  ])('notices a %s file that is cut off', async (format, content) => {
    for (const kept of [0.3, 0.9]) {
      const path = fileWith('long.data', content.subarray(0, Math.floor(content.length * kept)));
      const error = await errorOf(() => importSurvey({ format, path }));
      expect([error.code, error.message]).toEqual(['DATA_TRUNCATED', expect.stringContaining('long.data')]);
    }
  });

  test.each(['csv', 'parquet', 'arrow'])('names the column that a %s file lacks', async (format) => {
    const { weight: _, ...columns } = COLUMNS;
    const content = { csv: csvOf, parquet: parquetFile, arrow: arrowOf }[format]!(columns);
    const error = await errorOf(() => importSurvey({ format, path: fileWith('long.data', content) }));
    expect([error.code, error.message]).toEqual([
      'DATA_FORMAT',
      expect.stringContaining('no column "weight"; found: question_id, question, option, group'),
    ]);
  });
});
