import { z } from 'zod';
import type { Question } from '../../data/survey.ts';
import { defineFeatures, type FeatureVectors } from '../provider.ts';
import { lsaColumns } from './lsa.ts';
import { MAX_PROJECTION, projectTexts } from './projection.ts';
import { standardise } from './standardise.ts';
import { STRUCTURE_WIDTH, structureOf } from './structure.ts';

const options = z.strictObject({
  /** Directions kept of the option texts. */
  optionComponents: z.int().min(0).max(1024).default(48),
  /** Directions kept of the question texts. */
  questionComponents: z.int().min(0).max(1024).default(64),
  /** Width of the random projection that keeps questions distinguishable. */
  projection: z.int().min(0).max(MAX_PROJECTION).default(16),
  seed: z.int().min(0).default(0),
});
type Options = z.output<typeof options>;

/** Column `index` of rows, as a column. */
function columnsOf(rows: readonly ArrayLike<number>[], width: number): Float64Array[] {
  return Array.from({ length: width }, (_, index) => Float64Array.from(rows, (row) => row[index]!));
}

/** Repeats a question's value for each of its options. */
function perOption(column: Float64Array, questions: readonly Question[]): Float64Array {
  return Float64Array.from(
    questions.flatMap(({ options: { length } }, q) => Array<number>(length).fill(column[q]!)),
  );
}

function lexicalVectors(questions: readonly Question[], settings: Options): FeatureVectors {
  const { optionComponents, questionComponents, projection, seed } = settings;
  const optionTexts = questions.flatMap((question) => question.options);
  const questionTexts = questions.map((question) => question.text);
  const columns = [
    ...columnsOf(questions.flatMap(structureOf), STRUCTURE_WIDTH),
    ...lsaColumns(optionTexts, optionComponents, seed),
    ...[
      ...lsaColumns(questionTexts, questionComponents, seed),
      ...columnsOf(projectTexts(questionTexts, projection, seed), projection),
    ].map((column) => perOption(column, questions)),
  ].map(standardise);
  const width = columns.length;
  const rows = new Float32Array(optionTexts.length * width);
  for (const [index, column] of columns.entries()) {
    for (let row = 0; row < column.length; row++) rows[row * width + index] = column[row]!;
  }
  return { width, rows };
}

/**
 * Features from the texts alone: structure of the options (16 columns), LSA of option texts, LSA of question texts, and
 * a random projection of question word pairs. No download, no answers used, the same bytes on every machine.
 */
export const lexicalFeatures = defineFeatures({
  name: 'lexical',
  describe: 'Structure and words of questions and options; needs no download',
  version: 1,
  options,
  create: (settings) => ({
    identity: settings,
    cacheable: true,
    compute: async (questions) => lexicalVectors(questions, settings),
  }),
});
