import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeSurvey } from '../../../src/data/describe.ts';
import { importSurvey } from '../../../src/data/import.ts';
import {
  PAPER_TRAINING_COUNTRIES,
  PAPER_UNSEEN_COUNTRIES,
} from '../../../src/data/importers/globalopinionqa.ts';
import { errorOf, temporaryFolder } from '../make-draft.ts';

const DATA = process.env.PLURALLLM_DATA;

function fileWith(rows: readonly (readonly string[])[]): string {
  const path = join(temporaryFolder(), 'opinions.csv');
  const lines = [['question', 'selections', 'options', 'source'], ...rows].map((row) =>
    row.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(','),
  );
  writeFileSync(path, lines.join('\n'));
  return path;
}

function importRows(rows: readonly (readonly string[])[], groups: 'paper' | 'all' = 'all') {
  return importSurvey({ format: 'globalopinionqa', path: fileWith(rows), options: { groups } });
}

const dict = (inner: string): string => `defaultdict(<class 'list'>, {${inner}})`;

describe('the globalopinionqa importer', () => {
  test('reads Python literals, numbers among the options, and gives the record number as id', async () => {
    const { survey, warnings } = await importRows([
      [
        'Which one?',
        dict("'Kenya': [0.2, 0.8], \"Cote d'Ivoire\": [1.0, 0.0]"),
        `[0.0, "Don't know"]`,
        'GAS',
      ],
      ['And now?', dict("'Kenya': [0.5, 0.5]"), "['a', 'b']", 'WVS'],
    ]);
    expect(warnings).toEqual([]);
    expect(survey.groups.map(({ id }) => id)).toEqual(["Cote d'Ivoire", 'Kenya']);
    expect(survey.questions).toEqual([
      { id: '0', text: 'Which one?', options: ['0', "Don't know"], topic: 'GAS' },
      { id: '1', text: 'And now?', options: ['a', 'b'], topic: 'WVS' },
    ]);
    expect(survey.answers[1]!.map(({ distribution }) => [...distribution])).toEqual([
      [0.2, 0.8],
      [0.5, 0.5],
    ]);
  });

  test('drops a question with an all-zero country and one without text, with a count and a place', async () => {
    const { survey, warnings } = await importRows([
      ['Zero?', dict("'Kenya': [0.5, 0.5], 'Peru': [0.0, 0.0]"), "['a', 'b']", 'GAS'],
      ['', dict("'Kenya': [0.5, 0.5]"), "['a', 'b']", 'GAS'],
      ['Kept?', dict("'Kenya': [0.5, 0.5]"), "['a', 'b']", 'GAS'],
    ]);
    expect(survey.questions.map(({ id }) => id)).toEqual(['2']);
    expect(warnings.map(({ code, count }) => [code, count])).toEqual([
      ['question-with-zero-group', 1],
      ['question-without-text', 1],
    ]);
    expect(warnings[1]!.message).toMatch(/opinions\.csv, row 3, column "question"/);
  });

  test.each([
    [
      'an open dict',
      ['Q?', "defaultdict(<class 'list'>, {'Kenya': [0.5,", "['a', 'b']"],
      'DATA_FORMAT',
      /row 2, column "selections"/,
    ],
    [
      'a country without numbers',
      ['Q?', dict("'Kenya': ['x', 'y']"), "['a', 'b']"],
      'DATA_FORMAT',
      /"Kenya" has no list of numbers/,
    ],
    [
      'options that are no list',
      ['Q?', dict("'Kenya': [1.0, 0.0]"), "'a'"],
      'DATA_FORMAT',
      /column "options": expected a list/,
    ],
    [
      'the wrong number of shares',
      ['Q?', dict("'Kenya': [0.2, 0.3, 0.5]"), "['a', 'b']"],
      'DATA_OPTION_COUNT',
      /row 2, column "selections": 3/,
    ],
    [
      'a negative share',
      ['Q?', dict("'Kenya': [1.5, -0.5]"), "['a', 'b']"],
      'DATA_BAD_WEIGHT',
      /row 2, column "selections".* -0\.5/,
    ],
  ] as const)('refuses %s', async (_, row, code, message) => {
    const error = await errorOf(() => importRows([[...row, 'GAS']]));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  });

  test("keeps the paper's countries only when asked, and fails when one of them has no answer", async () => {
    const error = await errorOf(() =>
      importRows([['Q?', dict("'Kenya': [0.5, 0.5], 'Egypt': [1.0, 0.0]"), "['a', 'b']", 'GAS']], 'paper'),
    );
    expect([error.code, error.message]).toEqual(['DATA_EMPTY_GROUP', expect.stringContaining('13 group(s)')]);
  });
});

describe.skipIf(!DATA)(`GlobalOpinionQA itself${DATA ? '' : ' (SKIPPED: set PLURALLLM_DATA)'}`, () => {
  const path = join(DATA ?? '', 'globalopinionqa', 'global_opinions.reconstructed.csv');

  test("gives the paper's 14 countries the published numbers of questions", async () => {
    const { survey, format, warnings } = await importSurvey({ format: 'auto', path });
    const { perGroup, questions, answers } = describeSurvey(survey);
    const countOf = (country: string) => perGroup.find(({ id }) => id === country)?.questions;
    expect(format).toBe('globalopinionqa');
    expect(questions).toBe(1957);
    expect(PAPER_TRAINING_COUNTRIES.map(countOf)).toEqual([715, 712, 470, 1128, 1103, 761, 752, 626]);
    expect(PAPER_UNSEEN_COUNTRIES.map(countOf)).toEqual([386, 890, 981, 869, 683, 273]);
    expect(answers).toBe(6267 + 4082);
    expect(warnings.map(({ code, count }) => [code, count])).toEqual([
      ['answer-outside-selection', 46_329 - 10_349 - 90 - 1],
      ['question-with-zero-group', 1],
      ['question-without-text', 1],
      ['question-without-answers', 2554 - 1957],
    ]);
  });

  test('has 2,554 usable questions and 138 country labels in all', async () => {
    const { survey } = await importSurvey({ format: 'globalopinionqa', path, options: { groups: 'all' } });
    expect([survey.questions.length, survey.groups.length]).toEqual([2554, 138]);
  });
});
