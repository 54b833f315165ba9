import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Question } from '../../src/data/survey.ts';
import { arrowFeatures } from '../../src/features/arrow.ts';
import { computeFeatures } from '../../src/features/compute.ts';
import { featureOf } from '../../src/features/features.ts';
import { lexicalFeatures } from '../../src/features/lexical/lexical.ts';
import { projectTexts } from '../../src/features/lexical/projection.ts';
import { standardise } from '../../src/features/lexical/standardise.ts';
import { isNonAnswer, STRUCTURE_WIDTH, structureOf } from '../../src/features/lexical/structure.ts';
import { bigramsOf, wordsOf } from '../../src/features/lexical/terms.ts';
import { featuresConformance } from '../conformance/features.ts';
import { tinyQuestions } from '../support/tiny-survey.ts';

featuresConformance({
  provider: lexicalFeatures,
  questions: tinyQuestions(9),
  options: () => ({ optionComponents: 6, questionComponents: 8 }),
  otherOptions: () => ({ optionComponents: 6, questionComponents: 8, seed: 1 }),
});

const SMALL = { optionComponents: 4, questionComponents: 5, projection: 3 };

function lexical(questions: readonly Question[], options: Record<string, unknown> = SMALL) {
  return computeFeatures({ provider: lexicalFeatures, options, questions, cacheFolder: null });
}

function column(rows: Float32Array, width: number, index: number): number[] {
  return Array.from({ length: rows.length / width }, (_, row) => rows[row * width + index]!);
}

describe('lexical features', () => {
  test('are 16 + 48 + 64 + 16 wide by default; the width follows the options', async () => {
    expect((await lexical(tinyQuestions(5), {})).width).toBe(144);
    expect((await lexical(tinyQuestions(5))).width).toBe(STRUCTURE_WIDTH + 4 + 5 + 3);
  });

  test('every column has mean 0 and deviation 1, or is all zeros', async () => {
    const { rows, width } = await lexical(tinyQuestions(30));
    for (let index = 0; index < width; index++) {
      const values = column(rows, width, index);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
      if (values.every((value) => value === 0)) continue;
      expect(mean).toBeCloseTo(0, 5);
      expect(variance).toBeCloseTo(1, 4);
    }
  });

  test('columns beyond the rank of the texts are zero', async () => {
    const { rows, width } = await lexical(tinyQuestions(3), {
      optionComponents: 0,
      questionComponents: 7,
      projection: 0,
    });
    // Three question texts have rank 3 at most.
    for (let index = STRUCTURE_WIDTH + 3; index < width; index++) {
      expect(column(rows, width, index).every((value) => value === 0)).toBe(true);
    }
  });

  test('a question text does not depend on where the question stands', async () => {
    const questions = tinyQuestions(12);
    const forward = await lexical(questions);
    const backward = await lexical([...questions].reverse());
    for (const q of questions.keys()) {
      const a = featureOf(forward, q, 1);
      const b = featureOf(backward, questions.length - 1 - q, 1);
      for (const [i, value] of a.entries()) expect(b[i]).toBeCloseTo(value, 4);
    }
  });

  test('questions that differ in one rare word are told apart', async () => {
    const questions = ['apples', 'pears'].map((fruit) => ({
      id: fruit,
      text: `Do you like ${fruit}?`,
      options: ['Yes', 'No'],
    }));
    const features = await lexical(questions);
    expect([...featureOf(features, 0, 0)]).not.toEqual([...featureOf(features, 1, 0)]);
  });

  test('texts without any word are no problem', async () => {
    const features = await lexical([
      { id: 'a', text: '', options: ['?', '!'] },
      { id: 'b', text: '…', options: ['', '-', '+'] },
    ]);
    expect(features.rows.every(Number.isFinite)).toBe(true);
  });
});

describe('structure', () => {
  const [agree, neutral, dontKnow] = structureOf({
    id: 'q',
    text: '',
    options: ['Agree', 'Neutral', "Don't know"],
  });

  test('describes each option', () => {
    expect(agree).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0, 0.3, 1 / 3, 0, 0, 0, 1, 0]);
    expect(neutral).toEqual([0, 1, 0, 0, 0, 0, 0, 0, 0.5, 0.3, 1 / 3, 0, 1, 1, 1, 0]);
    expect(dontKnow).toEqual([0, 0, 1, 0, 0, 0, 0, 0, 1, 0.3, 1 / 3, 1, -1, 0, 1, 0]);
  });

  test('options from the eighth on share a slot; a lone option is defined', () => {
    const many = structureOf({ id: 'q', text: '', options: [...'abcdefghij'] });
    expect(many[9]!.slice(0, 8)).toEqual(many[7]!.slice(0, 8));
    expect(many[9]![15]).toBe(1);
    expect(structureOf({ id: 'q', text: '', options: ['Refused'] })[0]!.every(Number.isFinite)).toBe(true);
  });

  test.each([
    "Don't know",
    'Don’t know',
    'DK/Refused',
    'No answer',
    'Refused',
    'Missing; Unknown',
    ' not sure ',
    "I don't know",
  ])('"%s" is a non-answer', (option) => expect(isNonAnswer(option)).toBe(true));

  test.each([
    'No',
    'Neither',
    'None of these',
    'Not important',
    "Don't know anyone",
    'No difference',
    'Missionaries',
  ])('"%s" is an answer', (option) => expect(isNonAnswer(option)).toBe(false));
});

describe('parts', () => {
  test('words are the same whatever the case and the apostrophe', () => {
    expect(wordsOf("Don’t  STOP, don't!")).toEqual(["don't", 'stop', "don't"]);
    expect(wordsOf('¿Qué opina? 2 + 2')).toEqual(['qué', 'opina', '2', '2']);
    expect(wordsOf('…')).toEqual([]);
  });

  test('word pairs, with and without the ends', () => {
    expect(bigramsOf(['a', 'b', 'c'])).toEqual(['a b', 'b c']);
    expect(bigramsOf(['a'], { boundaries: true })).toEqual(['< a', 'a >']);
    expect(bigramsOf([])).toEqual([]);
  });

  test('z-scores are clipped to 6, and a constant column is zero', () => {
    const outlier = new Float64Array(100);
    outlier[0] = 1000;
    expect(Math.max(...standardise(outlier))).toBe(6);
    expect([...standardise(new Float64Array(5).fill(0.1))]).toEqual([0, 0, 0, 0, 0]);
  });

  test('the projection has the expected geometry: shared word pairs bring texts nearer', () => {
    const [a, b, c] = projectTexts(
      ['one two three four five six', 'one two three four five seven', 'red green blue black white grey'],
      256,
      0,
    );
    const dot = (x: Float64Array, y: Float64Array) =>
      x.reduce((sum, value, i) => sum + value * y[i]!, 0) / 256;
    expect(dot(a!, a!)).toBeGreaterThan(0.5);
    expect(dot(a!, b!)).toBeGreaterThan(dot(a!, c!) + 0.3);
  });
});

const DATA = process.env['PLURALLLM_DATA'];
const line = z.object({ qkey: z.int(), question: z.string(), options: z.array(z.coerce.string()) });

/** The 2,554 usable questions; row 2538 has no question, row 2446 no answers. */
function globalQuestions(folder: string): Question[] {
  const lines = readFileSync(join(folder, 'global_opinions.reconstructed.jsonl'), 'utf8').trim().split('\n');
  return lines
    .map((text) => line.parse(JSON.parse(text)))
    .filter(({ qkey }) => qkey !== 2538 && qkey !== 2446)
    .map(({ qkey, question, options }) => ({ id: String(qkey), text: question, options }));
}

describe.skipIf(!DATA)(`globalopinionqa${DATA ? '' : ' (SKIPPED: set PLURALLLM_DATA)'}`, () => {
  test('structural columns equal those made by another program from the same recipe', async () => {
    const folder = join(DATA ?? '', 'globalopinionqa');
    const questions = globalQuestions(folder);
    const ours = await lexical(questions, {});
    const path = join(folder, 'features-structure-lsa-144.arrow');
    const theirs = await computeFeatures({ provider: arrowFeatures, options: { path }, questions });
    expect([ours.width, ours.rows.length]).toEqual([theirs.width, theirs.rows.length]);
    // Columns 11 to 14 depend on which options count as non-answers, which the recipe leaves open.
    for (const index of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15]) {
      const expected = column(theirs.rows, 144, index);
      const worst = column(ours.rows, 144, index).reduce(
        (w, value, row) => Math.max(w, Math.abs(value - expected[row]!)),
        0,
      );
      expect(worst, `column ${index}`).toBeLessThan(1e-5);
    }
    // The leading direction of each LSA is well separated, so any good SVD finds it, up to its sign.
    for (const index of [16, 64]) {
      const [a, b] = [column(ours.rows, 144, index), column(theirs.rows, 144, index)];
      const correlation = a.reduce((sum, value, row) => sum + value * b[row]!, 0) / a.length;
      expect(Math.abs(correlation), `column ${index}`).toBeGreaterThan(0.99);
    }
  });
});
