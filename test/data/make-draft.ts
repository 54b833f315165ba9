import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { PluralError } from '../../src/core/errors.ts';
import type { SurveyDraft } from '../../src/data/draft.ts';
import type { Survey } from '../../src/data/survey.ts';
import { validateSurvey } from '../../src/data/validate.ts';

/** Three questions, two groups; `south` did not answer `q2`. */
export function makeDraft(changes: Partial<SurveyDraft> = {}): SurveyDraft {
  const at = (row: number) => ({ file: 'votes.csv', row, column: 'weight' });
  return {
    name: 'small',
    questions: [
      { id: 'q1', text: 'Tea or coffee?', options: ['tea', 'coffee'], topic: 'drinks', where: at(2) },
      { id: 'q2', text: 'Which season?', options: ['spring', 'summer', 'autumn', 'winter'], where: at(3) },
      {
        id: 'q3',
        text: 'Zażółć gęślą jaźń? 線上',
        options: ['yes', 'no', "don't know"],
        topic: 'mixed',
        where: at(4),
      },
    ],
    groups: [
      { id: 'north', label: 'The North' },
      { id: 'south', label: 'The South' },
    ],
    answers: [
      { question: 'q3', group: 'north', weights: [1, 2, 4], respondents: 7, where: at(5) },
      { question: 'q1', group: 'north', weights: [1, 1], where: at(6) },
      { question: 'q2', group: 'north', weights: [0, 0, 0, 3], respondents: 3, where: at(7) },
      { question: 'q1', group: 'south', weights: [9, 1], respondents: 10, where: at(8) },
      { question: 'q3', group: 'south', weights: [0.1, 0.2, 0.3], respondents: 12, where: at(9) },
    ],
    weights: 'counts',
    provenance: { source: 'a test', licence: 'none', attribution: 'nobody' },
    ...changes,
  };
}

export function makeSurvey(changes: Partial<SurveyDraft> = {}): Survey {
  return validateSurvey(makeDraft(changes)).survey;
}

/** A folder of its own that goes when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pluralllm-data-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The PluralError that a call ends in; fails when it ends well or throws anything else. */
export async function errorOf(call: () => unknown): Promise<PluralError> {
  try {
    await call();
  } catch (thrown) {
    if (thrown instanceof PluralError) return thrown;
    throw thrown;
  }
  throw new Error('expected an error');
}
