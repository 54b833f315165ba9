import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { importSurvey } from '../../../src/data/import.ts';
import { errorOf, temporaryFolder } from '../make-draft.ts';

const DATA = process.env.PLURALLLM_DATA;

const COMMENTS = `comment-id,agrees,moderated,comment-body
2,1,1,"More, please"
1,0,-1,Spam
0,2,0,Less
`;
const VOTES = `participant,group-id,n-agree,0,1,2
7,0,1,1,1,-1
8,1,2,1,-1,1
9,0,0,0,,
10,,1,1,1,1
11,1,0,-1,,1
`;

function folderWith(comments = COMMENTS, votes = VOTES): string {
  const folder = join(temporaryFolder(), 'park.bench');
  mkdirSync(folder);
  writeFileSync(join(folder, 'comments.csv'), comments);
  writeFileSync(join(folder, 'participants-votes.csv'), votes);
  return folder;
}

describe('the polis importer', () => {
  test('counts agree, disagree and pass per opinion group', async () => {
    const { survey, warnings, format } = await importSurvey({ format: 'auto', path: folderWith() });
    expect([format, survey.name]).toEqual(['polis', 'park.bench']);
    expect(survey.groups.map(({ id }) => id)).toEqual(['group-0', 'group-1']);
    expect(survey.questions.map(({ id, text }) => [id, text])).toEqual([
      ['0', 'Less'],
      ['2', 'More, please'],
    ]);
    expect(survey.questions[0]!.options).toEqual(['Agree', 'Disagree', 'Pass']);
    const shown = survey.answers.map((own) =>
      own.map(({ distribution, respondents }) => [[...distribution], respondents]),
    );
    expect(shown).toEqual([
      [
        [[0.5, 0, 0.5], 2],
        [[0, 1, 0], 1],
      ],
      [
        [[0.5, 0.5, 0], 2],
        [[1, 0, 0], 2],
      ],
    ]);
    expect(warnings.map(({ code, count }) => [code, count])).toEqual([
      ['statement-moderated-out', 1],
      ['participant-without-group', 1],
    ]);
  });

  test('keeps moderated statements and drops thin pairs when told to', async () => {
    const options = { moderated: 'keep', minVotes: 2 };
    const { survey, warnings } = await importSurvey({ format: 'polis', path: folderWith(), options });
    expect(survey.answers.map((own) => own.length)).toEqual([1, 2]);
    expect(warnings.map(({ code, count }) => [code, count])).toEqual([
      ['participant-without-group', 1],
      ['pair-below-min-votes', 3],
      ['question-without-answers', 1],
    ]);
  });

  test('refuses a vote that is none, and a statement without a column', async () => {
    const odd = await errorOf(() =>
      importSurvey({ format: 'polis', path: folderWith(COMMENTS, VOTES.replace('8,1,2,1', '8,1,2,5')) }),
    );
    expect([odd.code, odd.message]).toEqual([
      'DATA_FORMAT',
      expect.stringMatching(/participants-votes\.csv, row 3, column "0": "5"/),
    ]);
    const missing = await errorOf(() =>
      importSurvey({ format: 'polis', path: folderWith(`${COMMENTS}3,0,1,New\n`) }),
    );
    expect([missing.code, missing.message]).toEqual([
      'DATA_FORMAT',
      expect.stringContaining('no column "3"'),
    ]);
  });
});

describe.skipIf(!DATA)(`Polis exports themselves${DATA ? '' : ' (SKIPPED: set PLURALLLM_DATA)'}`, () => {
  test.each([
    ['15-per-hour-seattle', 31, 23],
    ['american-assembly.bowling-green', 607, 289],
    ['canadian-electoral-reform', 152, 22],
    ['vtaiwan.uberx', 119, 78],
  ])('%s has its two opinion groups', async (name, statements, moderated) => {
    const { survey, warnings } = await importSurvey({
      format: 'auto',
      path: join(DATA ?? '', 'polis', name),
    });
    const dropped = warnings.find(({ code }) => code === 'question-without-answers')?.count ?? 0;
    expect(survey.groups).toHaveLength(2);
    expect(survey.questions.length + dropped).toBe(statements);
    expect(warnings.find(({ code }) => code === 'statement-moderated-out')?.count).toBe(moderated);
  });
});
