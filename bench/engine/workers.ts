import { randomStream } from '../../src/core/random.ts';
import { computeFeatures } from '../../src/features/compute.ts';
import { featuresProvider } from '../../src/features/table.ts';
import { gpo } from '../../src/predictor/gpo/gpo.ts';
import type { WorkerSetup } from '../../src/training/jobs.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import { startPool, type TrainingPool } from '../../src/training/pool.ts';
import { shareData } from '../../src/training/shared-data.ts';
import { median, type Row } from '../benchmark.ts';
import { syntheticSurvey } from '../synthetic-survey.ts';
import { LEARNING_RATE, OPTIONS_PER_QUESTION } from './tasks.ts';

const GROUPS = 8;
const STEPS = 6;
const TURNS = 9;
/** Questions of a task on either side: 440 points. */
const QUESTIONS = 55;

async function setUp(): Promise<{ setup: WorkerSetup; parameters: Float32Array }> {
  const survey = syntheticSurvey(GROUPS, 2 * QUESTIONS, OPTIONS_PER_QUESTION);
  const features = await computeFeatures({
    provider: featuresProvider('lexical'),
    questions: survey.questions,
    cacheFolder: null,
  });
  const predictor = gpo.create({}, { featureWidth: features.width, rows: 0 });
  const parameters = predictor.initialise((tensor) => randomStream(0, 'bench', tensor));
  const setup: WorkerSetup = {
    predictor: { name: 'gpo', options: predictor.options },
    device: 'cpu',
    features: 'float32',
    data: shareData(survey, features),
    seed: 0,
    task: { contextQuestions: [QUESTIONS, QUESTIONS], targetQuestions: [QUESTIONS, QUESTIONS] },
    optimizer: ADAM_DEFAULTS,
    schedule: {
      schedule: 'constant',
      learningRate: LEARNING_RATE,
      warmupSteps: 0,
      cosineSteps: null,
    },
    heldOutQuestions: [],
  };
  return { setup, parameters };
}

/** Milliseconds in which every group trains once. */
async function roundOf(pool: TrainingPool, parameters: Float32Array): Promise<number> {
  const started = performance.now();
  await Promise.all(
    Array.from({ length: GROUPS }, (_, group) =>
      pool.run<'train'>({
        kind: 'train',
        parameters,
        group,
        stream: ['bench', group],
        firstStep: 0,
        steps: STEPS,
        totalSteps: STEPS,
        optimizer: null,
        keepOptimizer: false,
      }),
    ),
  );
  return performance.now() - started;
}

/** What a second worker brings when eight groups train. */
export async function workerRows(): Promise<Row[]> {
  const { setup, parameters } = await setUp();
  const [one, two] = [startPool(setup, 1), startPool(setup, 2)];
  const times: { one: number[]; two: number[] } = { one: [], two: [] };
  try {
    await roundOf(one, parameters);
    await roundOf(two, parameters);
    for (let turn = 0; turn < TURNS; turn++) {
      times.one.push(await roundOf(one, parameters));
      times.two.push(await roundOf(two, parameters));
    }
  } finally {
    await one.close();
    await two.close();
  }
  const ratio = median(times.one.map((ms, turn) => ms / times.two[turn]!));
  const step = median(times.one) / (GROUPS * STEPS);
  return [
    { name: `step of a worker, ${2 * QUESTIONS * OPTIONS_PER_QUESTION} points`, value: step, unit: 'ms' },
    { name: 'workers-2-speedup', value: ratio, unit: 'times as fast', peer: '1 worker', ratio },
  ];
}
