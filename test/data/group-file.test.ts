import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { describe, expect, test } from 'vitest';
import { groupFileBytes, readGroupFile, writeGroupFile } from '../../src/data/group-file.ts';
import { errorOf, makeDraft, makeSurvey, temporaryFolder } from './make-draft.ts';

const survey = makeSurvey();

function written(group: string): string {
  const path = join(temporaryFolder(), `${group}.arrow`);
  writeGroupFile(path, survey, group);
  return path;
}

describe('a group file', () => {
  test('holds one group with the questions it answered', () => {
    const south = readGroupFile(written('south'));
    expect(south.groups).toEqual([{ id: 'south', label: 'The South' }]);
    expect(south.questions).toEqual([survey.questions[0], survey.questions[2]]);
    expect(south.answers[0]!.map(({ distribution }) => distribution)).toEqual(
      survey.answers[1]!.map(({ distribution }) => distribution),
    );
    expect(south.answers[0]!.map(({ respondents }) => respondents)).toEqual([10, 12]);
    expect([south.name, south.provenance]).toEqual([survey.name, survey.provenance]);
  });

  test('has nothing of another group in it', () => {
    const bytes = readFileSync(written('south'));
    expect(bytes.includes('The South')).toBe(true);
    for (const foreign of ['north', 'The North', 'Which season?'])
      expect(bytes.includes(foreign)).toBe(false);
  });

  test('is the same bytes every time, and readable by any Arrow reader', () => {
    expect(groupFileBytes(survey, 'north')).toEqual(groupFileBytes(makeSurvey(), 'north'));
    expect(tableFromIPC(groupFileBytes(survey, 'north')).numRows).toBe(3);
  });

  test('survives texts that look like its own digest', () => {
    const [first, ...rest] = makeDraft().questions;
    const mark = `pluralllm-sha256=${'0'.repeat(64)}`;
    const questions = [{ ...first!, text: mark }, ...rest];
    const path = join(temporaryFolder(), 'odd.arrow');
    writeGroupFile(path, makeSurvey({ questions, name: mark }), 'south');
    const south = readGroupFile(path);
    expect([south.name, south.questions[0]!.text]).toEqual([mark, mark]);
  });

  test('is refused when cut off or changed anywhere', async () => {
    const path = written('north');
    const content = readFileSync(path);
    for (let length = 0; length < content.length; length += 61) {
      writeFileSync(path, content.subarray(0, length));
      const error = await errorOf(() => readGroupFile(path));
      expect([error.code, error.message]).toEqual(['DATA_TRUNCATED', expect.stringContaining('north.arrow')]);
    }
    for (let at = 0; at < content.length; at += 61) {
      const changed = Buffer.from(content);
      changed[at]! ^= 0x01;
      writeFileSync(path, changed);
      expect((await errorOf(() => readGroupFile(path))).code).toBe('DATA_TRUNCATED');
    }
  });

  test('of an unknown group is refused with the nearest name', async () => {
    const error = await errorOf(() => groupFileBytes(survey, 'souht'));
    expect([error.code, error.hint]).toEqual(['DATA_UNKNOWN_GROUP', 'Did you mean "south"?']);
  });
});
