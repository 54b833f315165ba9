import fc from 'fast-check';
import { expect, test } from 'vitest';
import { emitOnnx } from '../../src/graph/emit.ts';
import { gradients } from '../../src/graph/gradient.ts';
import * as g from '../../src/graph/ops.ts';
import { questionSoftmax } from '../../src/predictor/question-softmax.ts';
import { ort, runOnce } from '../support/ort.ts';

const scores = g.input('scores', ['T']);
const { logProbabilities, probabilities, questionCount } = questionSoftmax(
  scores,
  g.input('questions', ['T'], 'int32'),
);
const weights = g.input('weights', ['T']);
const [gradient] = gradients(g.sumAll(g.mul(logProbabilities, weights)), [scores]);
const MODEL = emitOnnx(
  { p: probabilities, logP: logProbabilities, count: questionCount, gradient: gradient! },
  { name: 'question-softmax', precision: 'float64' },
);

function run(given: readonly number[], questions: readonly number[], weight = given.map(() => 1)) {
  const size = [given.length];
  return runOnce(MODEL, {
    scores: new ort.Tensor('float64', Float64Array.from(given), size),
    questions: new ort.Tensor('int32', Int32Array.from(questions), size),
    weights: new ort.Tensor('float64', Float64Array.from(weight), size),
  });
}

/** Softmax of one question by the textbook. */
function softmax(values: readonly number[]): number[] {
  const largest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

const questionScores = fc.array(fc.double({ min: -20, max: 20, noNaN: true }), {
  minLength: 1,
  maxLength: 5,
});

test('is the softmax of each question by itself, also where its points are not adjacent (property)', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(questionScores, { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      async (groups, mixed) => {
        const points = groups.flatMap((values, question) => {
          const shares = softmax(values);
          return values.map((score, i) => ({ score, question: question * 7, share: shares[i]! }));
        });
        if (mixed) points.sort((a, b) => a.score - b.score);
        const { p, logP, count } = await run(
          points.map(({ score }) => score),
          points.map(({ question }) => question),
        );
        expect(Math.abs(count![0]! - groups.length)).toBeLessThan(1e-9);
        for (const [i, { share }] of points.entries()) {
          expect(Math.abs(p![i]! - share)).toBeLessThan(1e-12);
          expect(Math.abs(logP![i]! - Math.log(share))).toBeLessThan(1e-9);
        }
      },
    ),
    { numRuns: 30 },
  );
});

test('scores far from 0, and far from those of other questions, do not overflow or vanish', async () => {
  const { p, logP } = await run([1e4, 1e4 - 1, -1e4, -1e4 - 1], [0, 0, 1, 1]);
  const [high, low] = softmax([1, 0]) as [number, number];
  for (const [i, expected] of [high, low, high, low].entries()) {
    expect(Math.abs(p![i]! - expected)).toBeLessThan(1e-9);
    expect(Math.abs(logP![i]! - Math.log(expected))).toBeLessThan(1e-9);
  }
});

test('its gradient is weight - p * (sum of the question’s weights)', async () => {
  const weight = [0.5, -1, 2, 0.25, 1];
  const questions = [0, 0, 1, 1, 1];
  const { p, gradient: found } = await run([0.3, -0.7, 1.1, 0, 2], questions, weight);
  for (const [i, value] of found!.entries()) {
    const own = weight.filter((_, j) => questions[j] === questions[i]).reduce((sum, w) => sum + w, 0);
    expect(Math.abs(value - (weight[i]! - p![i]! * own))).toBeLessThan(1e-12);
  }
});
