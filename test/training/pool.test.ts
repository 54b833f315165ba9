import { describe, expect, onTestFinished, test } from 'vitest';
import type { GradientJob, PredictJob, TrainJob, WorkerSetup } from '../../src/training/jobs.ts';
import { freshAdam } from '../../src/training/optimizer.ts';
import { startPool, type TrainingPool } from '../../src/training/pool.ts';
import { Trainer } from '../../src/training/trainer.ts';
import { tinyParameters, tinySetup } from '../support/tiny-training.ts';

const PARAMETERS = tinyParameters();
const GROUPS = [0, 1, 2, 3];

const trainJob = (group: number, changes: Partial<TrainJob> = {}): TrainJob => ({
  kind: 'train',
  parameters: PARAMETERS,
  group,
  stream: ['group', group],
  firstStep: 0,
  steps: 3,
  totalSteps: 6,
  optimizer: null,
  keepOptimizer: true,
  ...changes,
});
const gradientJob = (group: number): GradientJob => ({
  kind: 'gradient',
  parameters: PARAMETERS,
  group,
  stream: ['group', group],
  step: 0,
});
const predictJob = (group: number): PredictJob => ({
  kind: 'predict',
  parameters: PARAMETERS,
  asked: [{ group, context: [0, 1, 2], target: [5, 6, 7, 8] }],
});

function poolOf(workers: number, setup: WorkerSetup = tinySetup()): TrainingPool {
  const pool = startPool(setup, workers);
  onTestFinished(() => pool.close());
  return pool;
}

async function allResults(pool: TrainingPool) {
  return Promise.all(
    GROUPS.map(async (group) => [
      await pool.run<'train'>(trainJob(group)),
      await pool.run<'gradient'>(gradientJob(group)),
      await pool.run<'predict'>(predictJob(group)),
    ]),
  );
}

describe('results', () => {
  test('are the same bits with 1 and 2 workers, and in this thread', async () => {
    const one = await allResults(poolOf(1));
    expect(await allResults(poolOf(2))).toEqual(one);
    const trainer = new Trainer(tinySetup());
    for (const [index, group] of GROUPS.entries()) {
      expect(await trainer.run(trainJob(group))).toEqual(one[index]![0]);
      expect(await trainer.run(gradientJob(group))).toEqual(one[index]![1]);
      expect(await trainer.run(predictJob(group))).toEqual(one[index]![2]);
    }
  });

  test('training moves the parameters; seed, group and stream decide the tasks', async () => {
    const pool = poolOf(1);
    const { parameters, loss, optimizer } = await pool.run<'train'>(trainJob(0));
    expect(parameters).toHaveLength(PARAMETERS.length);
    expect(parameters).not.toEqual(PARAMETERS);
    expect(Number.isFinite(loss)).toBe(true);
    expect(optimizer?.steps).toBe(3);
    const other = await pool.run<'train'>(trainJob(0, { stream: ['another'] }));
    expect(other.parameters).not.toEqual(parameters);
    const seeded = await poolOf(1, tinySetup({ seed: 6 })).run<'train'>(trainJob(0));
    expect(seeded.parameters).not.toEqual(parameters);
  });

  test('3 + 3 steps with the moments handed on are 6 steps', async () => {
    const pool = poolOf(1);
    const whole = await pool.run<'train'>(trainJob(1, { steps: 6 }));
    const first = await pool.run<'train'>(trainJob(1));
    const second = await pool.run<'train'>(
      trainJob(1, { parameters: first.parameters, optimizer: first.optimizer, firstStep: 3 }),
    );
    expect(second.parameters).toEqual(whole.parameters);
    expect(second.optimizer).toEqual(whole.optimizer);
    expect((first.loss + second.loss) / 2).toBeCloseTo(whole.loss, 12);
  });

  test('shares are predicted for all options, and sum to 1 per question', async () => {
    const [probabilities] = (await poolOf(1).run<'predict'>(predictJob(0))).probabilities;
    const { rowOf } = tinySetup().data;
    let position = 0;
    for (const question of predictJob(0).asked[0]!.target) {
      const options = rowOf[question + 1]! - rowOf[question]!;
      const sum = probabilities!
        .subarray(position, position + options)
        .reduce((total, share) => total + share, 0);
      expect(Math.abs(sum - 1)).toBeLessThan(1e-5);
      position += options;
    }
    expect(probabilities).toHaveLength(position);
  });

  test('held-out questions are never trained on', async () => {
    const heldOutQuestions = [0, 2, 4, 6, 8, 10];
    const setup = tinySetup({ heldOutQuestions });
    const spoilt = tinySetup({ heldOutQuestions });
    const { data } = spoilt;
    for (let answer = 0; answer < data.question.length; answer++) {
      if (!heldOutQuestions.includes(data.question[answer]!)) continue;
      data.shares.fill(Number.NaN, data.shareOf[answer], data.shareOf[answer + 1]);
    }
    const job = trainJob(2, { steps: 20, totalSteps: 20 });
    expect(await new Trainer(spoilt).run(job)).toEqual(await new Trainer(setup).run(job));
    // Without the hold-out the same answers do matter.
    await expect(new Trainer({ ...spoilt, heldOutQuestions: [] }).run(job)).rejects.toMatchObject({
      code: 'NOT_FINITE',
    });
  });
});

describe('failures', () => {
  test('an error of a job arrives with its code, message and hint, and the worker goes on', async () => {
    const pool = poolOf(1);
    const broken = PARAMETERS.slice().fill(Number.NaN);
    await expect(pool.run<'train'>(trainJob(0, { parameters: broken }))).rejects.toMatchObject({
      name: 'PluralError',
      code: 'NOT_FINITE',
      message: expect.stringContaining('step 0'),
      hint: expect.stringContaining('learningRate'),
    });
    const failed = pool.run<'gradient'>({ ...gradientJob(0), parameters: PARAMETERS.subarray(1) });
    await expect(failed).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    expect((await pool.run<'train'>(trainJob(0))).optimizer?.steps).toBe(3);
  });

  test('a worker that cannot start fails all jobs with ENGINE_FAILED', async () => {
    const pool = poolOf(2, tinySetup({ predictor: { name: 'none', options: {} } }));
    const outcomes = await Promise.allSettled(GROUPS.map((group) => pool.run<'train'>(trainJob(group))));
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ENGINE_FAILED' } });
    }
  });
});

describe('close', () => {
  const long = (group: number) => trainJob(group, { steps: 1_000_000, totalSteps: 1_000_000 });

  test('jobs under way and jobs that wait are INTERRUPTED, and so is every later one', async () => {
    const pool = startPool(tinySetup(), 1);
    await pool.run<'train'>(trainJob(0));
    const outcomes = Promise.allSettled(GROUPS.map((group) => pool.run<'train'>(long(group))));
    await pool.close();
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'INTERRUPTED' } });
    }
    await expect(pool.run<'train'>(trainJob(0))).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });

  test('twice at once, and again later, is fine', async () => {
    const pool = startPool(tinySetup(), 1);
    await pool.run<'train'>(trainJob(0));
    const outcome = Promise.allSettled([pool.run<'train'>(long(0))]);
    await Promise.all([pool.close(), pool.close()]);
    await pool.close();
    expect(await outcome).toMatchObject([{ status: 'rejected', reason: { code: 'INTERRUPTED' } }]);
  });

  test('right after the start is fine', async () => {
    await startPool(tinySetup(), 2).close();
  });
});

test('fresh moments are as long as the parameters', () => {
  const { first, second, steps } = freshAdam(PARAMETERS.length);
  expect([first.length, second.length, steps]).toEqual([PARAMETERS.length, PARAMETERS.length, 0]);
});
