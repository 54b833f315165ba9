import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readSurvey, surveyFiles, writeSurvey } from '../../src/data/survey-folder.ts';
import { errorOf, makeDraft, makeSurvey, temporaryFolder } from './make-draft.ts';

const survey = makeSurvey();

function writtenSurvey(): string {
  const folder = join(temporaryFolder(), 'nested', 'small');
  writeSurvey(folder, survey);
  return folder;
}

describe('a survey folder', () => {
  test('gives back exactly what was written', () => {
    expect(readSurvey(writtenSurvey())).toEqual(survey);
  });

  test('gives back any weights to the last bit', () => {
    const folder = join(temporaryFolder(), 'any');
    const weights = fc.array(fc.double({ min: 1e-9, max: 1e9, noNaN: true }), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(weights, fc.string({ minLength: 1 }), (some, text) => {
        const [first, second, ...rest] = makeDraft().questions;
        const answers = makeDraft().answers.map((answer) =>
          answer.question === 'q2' ? { ...answer, weights: some } : answer,
        );
        const questions = [first!, { ...second!, text: `${text}?` }, ...rest];
        const any = makeSurvey({ answers, questions });
        writeSurvey(folder, any);
        expect(readSurvey(folder)).toEqual(any);
      }),
      { numRuns: 20 },
    );
  });

  test('holds plain Arrow tables', () => {
    const folder = writtenSurvey();
    const questions = tableFromIPC(readFileSync(join(folder, 'questions.arrow')));
    const responses = tableFromIPC(readFileSync(join(folder, 'responses.arrow')));
    expect(questions.schema.fields.map(({ name, type }) => `${String(name)} ${type}`)).toEqual([
      'id Utf8',
      'text Utf8',
      'options List<Utf8>',
      'topic Utf8',
    ]);
    expect(responses.schema.fields.map(({ name, type }) => `${String(name)} ${type}`)).toEqual([
      'question_id Dictionary<Int32, Utf8>',
      'group Dictionary<Int32, Utf8>',
      'distribution List<Float64>',
      'respondents Float64',
    ]);
    expect(responses.numRows).toBe(5);
    expect(questions.getChild('topic')!.get(1)).toBeNull();
  });

  test('is the same bytes every time', () => {
    expect([...surveyFiles(makeSurvey())]).toEqual([...surveyFiles(makeSurvey())]);
  });

  test('replaces an older survey, and nothing else', async () => {
    const folder = writtenSurvey();
    writeSurvey(folder, makeSurvey({ name: 'newer' }));
    expect(readSurvey(folder).name).toBe('newer');
    expect(readdirSync(join(folder, '..'))).toEqual(['small']);
    writeFileSync(join(folder, 'thesis.txt'), 'years of work');
    const error = await errorOf(() => writeSurvey(folder, survey));
    expect([error.code, error.message]).toEqual(['WRITE_FAILED', expect.stringContaining('thesis.txt')]);
    expect(readSurvey(folder).name).toBe('newer');
  });

  test('leaves nothing behind when it cannot be written', async () => {
    const parent = temporaryFolder();
    const file = join(parent, 'file');
    writeFileSync(file, 'in the way');
    expect((await errorOf(() => writeSurvey(join(file, 'small'), survey))).code).toBe('WRITE_FAILED');
    expect((await errorOf(() => writeSurvey(file, survey))).code).toBe('WRITE_FAILED');
    expect(readdirSync(parent)).toEqual(['file']);
  });

  test.each(['questions.arrow', 'responses.arrow', 'survey.json'])(
    'notices that %s is cut off',
    async (name) => {
      const folder = writtenSurvey();
      const path = join(folder, name);
      const content = readFileSync(path);
      for (const length of [0, 5, content.length >> 1, content.length - 2]) {
        writeFileSync(path, content.subarray(0, length));
        const error = await errorOf(() => readSurvey(folder));
        expect([error.code, error.message]).toEqual(['DATA_TRUNCATED', expect.stringContaining(name)]);
      }
    },
  );

  test.each(['questions.arrow', 'responses.arrow'])('notices any changed byte of %s', async (name) => {
    const folder = writtenSurvey();
    const content = readFileSync(join(folder, name));
    for (let at = 0; at < content.length; at += 97) {
      const changed = Buffer.from(content);
      changed[at]! ^= 0x20;
      writeFileSync(join(folder, name), changed);
      const error = await errorOf(() => readSurvey(folder));
      expect([error.code, error.message]).toEqual(['DATA_TRUNCATED', expect.stringContaining(name)]);
    }
  });

  test('names what is missing', async () => {
    const folder = writtenSurvey();
    rmSync(join(folder, 'responses.arrow'));
    const error = await errorOf(() => readSurvey(folder));
    expect([error.code, error.message]).toEqual([
      'FILE_NOT_FOUND',
      expect.stringContaining('responses.arrow'),
    ]);
    expect(existsSync(join(folder, 'survey.json'))).toBe(true);
  });

  test('of another format version is refused', async () => {
    const folder = writtenSurvey();
    const path = join(folder, 'survey.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('pluralllm-survey/1', 'pluralllm-survey/9'));
    expect((await errorOf(() => readSurvey(folder))).code).toBe('DATA_FORMAT');
  });
});
