import { randomStream } from '../src/core/random.ts';
import { computeFeatures } from '../src/features/compute.ts';
import { featuresProvider } from '../src/features/table.ts';
import { gpo } from '../src/predictor/gpo/gpo.ts';
import type { WorkerSetup } from '../src/training/jobs.ts';
import { ADAM_DEFAULTS } from '../src/training/optimizer.ts';
import { startPool } from '../src/training/pool.ts';
import { shareData } from '../src/training/shared-data.ts';
import { type Benchmark, median, type Row } from './benchmark.ts';
import { syntheticSurvey } from './synthetic-survey.ts';

const GROUPS = 8;
const STEPS = 6;
const REPEATS = 5;

async function setupFor(questionsPerSide: number): Promise<{ setup: WorkerSetup; parameters: Float32Array }> {
  const survey = syntheticSurvey(GROUPS, 2 * questionsPerSide, 4);
  const features = await computeFeatures({
    provider: featuresProvider('lexical'),
    questions: survey.questions,
    cacheFolder: null,
  });
  const predictor = gpo.create({}, features.width);
  const parameters = predictor.initialise((tensor) => randomStream(0, 'bench', tensor));
  const setup: WorkerSetup = {
    predictor: { name: 'gpo', options: predictor.options },
    device: 'cpu',
    features: 'float32',
    data: shareData(survey, features),
    seed: 0,
    task: {
      contextQuestions: [questionsPerSide, questionsPerSide],
      targetQuestions: [questionsPerSide, questionsPerSide],
    },
    optimizer: ADAM_DEFAULTS,
    schedule: { schedule: 'constant', learningRate: 3e-4, warmupSteps: 0, cosineSteps: null },
    heldOutQuestions: [],
  };
  return { setup, parameters };
}

/** Milliseconds per optimiser step when every group trains once, with some workers. */
async function roundTime(setup: WorkerSetup, parameters: Float32Array, workers: number): Promise<number> {
  const pool = startPool(setup, workers);
  const round = () =>
    Promise.all(
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
  try {
    await round();
    const started = performance.now();
    await round();
    return (performance.now() - started) / (GROUPS * STEPS);
  } finally {
    await pool.close();
  }
}

/** Training steps of the paper's predictor: time by size, and what a second worker brings. */
export const engine: Benchmark = {
  name: 'engine',
  describe: 'training steps of the paper-sized predictor, with one worker and with two',
  run: async () => {
    const rows: Row[] = [];
    for (const questions of [13, 55]) {
      const { setup, parameters } = await setupFor(questions);
      const one: number[] = [];
      const two: number[] = [];
      for (let repeat = 0; repeat < REPEATS; repeat++) {
        one.push(await roundTime(setup, parameters, 1));
        two.push(await roundTime(setup, parameters, 2));
      }
      const points = 8 * questions;
      const ratio = median(one.map((time, index) => time / two[index]!));
      rows.push({ name: `step at ${points} points, 1 worker`, value: median(one), unit: 'ms' });
      rows.push({
        name: `step at ${points} points, 2 workers`,
        value: median(two),
        unit: 'ms',
        peer: '1 worker',
        ratio,
      });
    }
    return rows;
  },
};
