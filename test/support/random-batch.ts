import { asStage } from '../../src/core/brand.ts';
import { type RandomStream, randomStream } from '../../src/core/random.ts';
import type { Batch, Points } from '../../src/predictor/batch.ts';

/** One question of a batch: its index, and what its options look like. */
export interface BatchQuestion {
  readonly index: number;
  /** Row-major, shape [options, width]. */
  readonly features: Float32Array;
  /** Shape [options], sum 1. */
  readonly shares: Float32Array;
}

/** A question with random features and positive shares. */
export function randomQuestion(
  random: RandomStream,
  index: number,
  options: number,
  width: number,
): BatchQuestion {
  const weights = Array.from({ length: options }, () => 0.05 + random.uniform());
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return {
    index,
    features: Float32Array.from({ length: options * width }, () => random.normal()),
    shares: Float32Array.from(weights, (weight) => weight / total),
  };
}

/** Rows of the table that each question has, used or not. */
const ROWS_PER_QUESTION = 5;

/** Rows of a table for so many questions, numbered from 0. */
export const rowsFor = (questions: number): number => questions * ROWS_PER_QUESTION;

/** Points whose rows follow from the question alone. */
function pointsOf(questions: readonly BatchQuestion[]): Points {
  const optionsOf = ({ shares }: BatchQuestion) => [...shares.keys()];
  return {
    rows: Int32Array.from(
      questions.flatMap((question) =>
        optionsOf(question).map((option) => ROWS_PER_QUESTION * question.index + option),
      ),
    ),
    probabilities: Float32Array.from(questions.flatMap(({ shares }) => [...shares])),
    questions: Int32Array.from(
      questions.flatMap(({ index, shares }) => Array<number>(shares.length).fill(index)),
    ),
  };
}

/** A batch of these questions. */
export function batchFrom(
  width: number,
  context: readonly BatchQuestion[],
  target: readonly BatchQuestion[],
): Batch {
  const all = [...context, ...target];
  const table = new Float32Array(width * rowsFor(1 + Math.max(...all.map(({ index }) => index))));
  for (const { index, features } of all) table.set(features, width * rowsFor(index));
  return asStage({ width, table, context: pointsOf(context), target: pointsOf(target) });
}

/** Questions 0, 1, ... with 2 to 5 options each. */
export function randomQuestions(seed: number, count: number, width: number): BatchQuestion[] {
  const random = randomStream(seed, 'random-batch');
  return Array.from({ length: count }, (_, index) => randomQuestion(random, index, 2 + (index % 4), width));
}

/** Feature vectors of some points of a batch, row-major, shape [n, width]. */
export function featuresOf({ table, width }: Batch, { rows }: Points): Float32Array {
  return Float32Array.from([...rows].flatMap((row) => [...table.subarray(row * width, (row + 1) * width)]));
}
