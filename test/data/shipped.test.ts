import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listShipped, loadSurvey } from '../../src/data/shipped.ts';
import { writeSurvey } from '../../src/data/survey-folder.ts';
import { errorOf, makeSurvey, temporaryFolder } from './make-draft.ts';

describe('loadSurvey', () => {
  test('reads every shipped survey by its name', () => {
    expect(listShipped()).toContain('nonvoters');
    for (const name of listShipped()) expect(loadSurvey(name).name).toBe(name);
  });

  test('reads a survey folder by its path', () => {
    const folder = join(temporaryFolder(), 'mine');
    writeSurvey(folder, makeSurvey());
    expect(loadSurvey(folder)).toEqual(makeSurvey());
  });

  test('suggests a shipped name, or importing what is there', async () => {
    const typo = await errorOf(() => loadSurvey('nonvoter'));
    expect([typo.code, typo.hint]).toEqual([
      'DATA_UNKNOWN_SURVEY',
      expect.stringContaining('Did you mean "nonvoters"?'),
    ]);
    const folder = await errorOf(() => loadSurvey(temporaryFolder()));
    expect([folder.code, folder.hint]).toEqual(['DATA_UNKNOWN_SURVEY', expect.stringContaining('import')]);
  });
});
