import { expect, test } from 'vitest';
import { PluralError } from '../../src/core/errors.ts';
import type { Job, PredictJob } from '../../src/training/jobs.ts';
import type { TrainingPool } from '../../src/training/pool.ts';
import { predictWith } from '../../src/training/pool-predict.ts';
import { tinyQuestions } from '../support/tiny-survey.ts';

const QUESTIONS = tinyQuestions(6);
const PARAMETERS = new Float32Array(1);

/** A pool that predicts, for each option, the group's number; fails for group 99. */
function fakePool(workers: number): TrainingPool & { readonly jobs: PredictJob[] } {
  const jobs: PredictJob[] = [];
  const run = async (job: Job) => {
    if (job.kind !== 'predict') throw new Error('only predictions are asked for');
    jobs.push(job);
    if (job.asked.some(({ group }) => group === 99)) throw new PluralError('ENGINE_FAILED', 'no');
    const probabilities = job.asked.map(({ group, target }) =>
      new Float32Array(target.reduce((sum, q) => sum + QUESTIONS[q]!.options.length, 0)).fill(group),
    );
    return { probabilities };
  };
  return { jobs, workers, run: run as TrainingPool['run'], checkOpen: () => {}, close: async () => {} };
}

const request = (group: number, ...targets: number[]) => ({ group, context: [0], targets });

test('what is asked together is one job for each worker, and each gets its own answer', async () => {
  const pool = fakePool(2);
  const predict = predictWith(pool, QUESTIONS, PARAMETERS);
  const answers = await Promise.all(
    [1, 2, 3, 4, 5].map((group) => predict(request(group, 1, 2 + (group % 3)))),
  );
  expect(pool.jobs.map(({ asked }) => asked.map(({ group }) => group))).toEqual([
    [1, 2, 3],
    [4, 5],
  ]);
  for (const [i, shares] of answers.entries()) {
    expect(shares.map(({ length }) => length)).toEqual(
      [1, 2 + ((i + 1) % 3)].map((question) => QUESTIONS[question]!.options.length),
    );
    expect(shares.flatMap((own) => [...own]).every((share) => share === i + 1)).toBe(true);
  }
});

test('what is asked later is another job', async () => {
  const pool = fakePool(2);
  const predict = predictWith(pool, QUESTIONS, PARAMETERS);
  await predict(request(1, 1));
  await predict(request(2, 1));
  expect(pool.jobs.map(({ asked }) => asked.length)).toEqual([1, 1]);
});

test('a job that fails fails for all that it was asked, and for nobody else', async () => {
  const predict = predictWith(fakePool(2), QUESTIONS, PARAMETERS);
  const outcomes = await Promise.allSettled([1, 99, 3, 4].map((group) => predict(request(group, 1))));
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled', 'fulfilled']);
});
