import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { deriveNonvoters, readItems } from '../../datasets/nonvoters/derive.ts';
import { loadSurvey } from '../../src/data/shipped.ts';
import { surveyFiles } from '../../src/data/survey-folder.ts';
import { validateSurvey } from '../../src/data/validate.ts';

const DATA = process.env.PLURALLLM_DATA;
const SHIPPED = fileURLToPath(new URL('../../datasets/nonvoters/survey/', import.meta.url));
const hasPdfToText = spawnSync('pdftotext', ['-v']).error === undefined;

describe('the shipped nonvoters survey', () => {
  const survey = loadSurvey('nonvoters');

  test('has 21 groups and 57 questions, all answered by at least 50 people', () => {
    expect([survey.groups.length, survey.questions.length]).toEqual([21, 57]);
    for (const answers of survey.answers) {
      expect(answers.map(({ question }) => question)).toEqual(survey.questions.map((_, index) => index));
      for (const { respondents } of answers) expect(respondents).toBeGreaterThanOrEqual(50);
    }
  });

  test('has ids that need no quoting on a command line', () => {
    for (const { id } of survey.groups) expect(id).toMatch(/^[a-z0-9+-]+$/);
    expect(survey.groups).toContainEqual({ id: 'democrat-white-65+', label: 'Democrat, White, 65+' });
  });

  test('asks the items of items.json, each with a text of its own', () => {
    const items = readItems();
    expect(survey.questions).toEqual(items);
    expect(new Set(items.map(({ text }) => text)).size).toBe(57);
  });

  test('says whose data it is', () => {
    expect(survey.provenance.licence).toBe('CC BY 4.0');
    expect(survey.provenance.attribution).toMatch(/FiveThirtyEight.*Ipsos/);
  });
});

describe.skipIf(!DATA)(`the derivation of nonvoters${DATA ? '' : ' (SKIPPED: set PLURALLLM_DATA)'}`, () => {
  const folder = join(DATA ?? '', 'nonvoters');
  const derived = () => deriveNonvoters(join(folder, 'nonvoters_data.csv'));

  test('gives the shipped bytes again, without a warning', async () => {
    const { survey, warnings } = validateSurvey((await derived()).draft);
    expect(warnings).toEqual([]);
    for (const [name, content] of surveyFiles(survey)) {
      const shipped = readFileSync(join(SHIPPED, name));
      expect(Buffer.compare(Buffer.from(content), shipped), name).toBe(0);
    }
  });

  test('agrees with an independent derivation to its four decimals', async () => {
    const cell = z.object({ n: z.int(), p: z.record(z.string(), z.array(z.number())) });
    const reference = z
      .object({ cells: z.record(z.string(), cell) })
      .parse(JSON.parse(readFileSync(join(folder, 'nonvoters_groups.derived.json'), 'utf8')));
    const { draft, cellSizes } = await derived();
    const { survey } = validateSurvey(draft);
    const idOf = (name: string): string => name.replaceAll('|', '-').toLowerCase();
    const cells = new Map(Object.entries(reference.cells).map(([name, value]) => [idOf(name), value]));
    expect([...cells.keys()].sort()).toEqual(survey.groups.map(({ id }) => id));
    for (const [group, { id }] of survey.groups.entries()) {
      const { n, p } = cells.get(id)!;
      expect(cellSizes.get(id)).toBe(n);
      for (const { question, distribution, respondents } of survey.answers[group]!) {
        const shares = p[survey.questions[question]!.id]!;
        expect(shares).toHaveLength(distribution.length);
        for (const [option, share] of shares.entries())
          expect(Math.abs(distribution[option]! - share)).toBeLessThan(0.000051);
        expect(respondents).toBeLessThanOrEqual(n);
      }
    }
  });
});

const codebookSkip =
  DATA === undefined
    ? ' (SKIPPED: set PLURALLLM_DATA)'
    : hasPdfToText
      ? ''
      : ' (SKIPPED: pdftotext is missing)';

describe.skipIf(codebookSkip !== '')(`the wording of the items${codebookSkip}`, () => {
  /** Every run of so many words, punctuation and case set aside. */
  function runsOf(text: string, length: number): string[] {
    const words =
      text
        .toLowerCase()
        .replace(/[\u200b'’]/g, '')
        .match(/[a-z0-9]+/g) ?? [];
    return words.slice(length - 1).map((_, start) => words.slice(start, start + length).join(' '));
  }

  test('has no run of six words in common with the questionnaire', () => {
    const codebook = execFileSync(
      'pdftotext',
      ['-layout', join(DATA ?? '', 'nonvoters', 'nonvoters_codebook.pdf'), '-'],
      { encoding: 'utf8' },
    );
    const questionnaire = new Set(runsOf(codebook, 6));
    expect(questionnaire.size).toBeGreaterThan(1000);
    const texts = readItems().flatMap(({ text, options }) => [text, ...options]);
    expect(texts.flatMap((text) => runsOf(text, 6)).filter((run) => questionnaire.has(run))).toEqual([]);
  });
});
