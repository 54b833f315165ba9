import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../src/config/load.ts';
import { randomStream } from '../../src/core/random.ts';
import { evaluatePredictor } from '../../src/evaluate/evaluate.ts';
import type { Batch } from '../../src/predictor/batch.ts';
import type { Predict } from '../../src/predictor/prediction.ts';
import type { TrainablePredictor } from '../../src/predictor/predictor.ts';
import { type StagedOptions, stagedOptions } from '../../src/predictor/staged/options.ts';
import type { Floats } from '../../src/sharding/parts/part-session.ts';
import { type Experiment, prepareExperiment, setupOf } from '../../src/simulate/experiment.ts';
import { batchOf, sampleTask, type TaskSize } from '../../src/training/batches.ts';
import { answeredQuestions, type SharedData } from '../../src/training/shared-data.ts';

/** The staged transformer of the experiment: of gpo's kind and of moderate size. */
export const MODEL = {
  stages: 3,
  layersPerStage: 1,
  width: 32,
  heads: 4,
  feedforward: 32,
  embedderLayers: 4,
  loss: 'kl',
} as const;

/** Data, groups and model of one seed: the quickstart's, with the staged transformer in place of its predictor. */
export interface Setting {
  readonly experiment: Experiment;
  readonly data: SharedData;
  readonly predictor: TrainablePredictor;
  readonly options: StagedOptions;
  readonly seed: number;
  readonly task: TaskSize;
}

/** The setting of a seed; groups are split in one way for all seeds. */
export async function settingOf(seed: number): Promise<Setting> {
  const path = fileURLToPath(new URL('../../configs/quickstart.yaml', import.meta.url));
  const config = loadConfig(path, [
    `predictor=${JSON.stringify({ name: 'staged', ...MODEL })}`,
    'training.weightDecay=0',
    'data.splitSeed=0',
    'compare=[]',
    `seed=${seed}`,
  ]);
  const experiment = await prepareExperiment(config, () => {});
  const { data, task } = setupOf(experiment);
  const options = stagedOptions.parse(MODEL);
  return { experiment, data, predictor: experiment.predictor, options, seed, task };
}

/** A training task of a group, drawn by `path`. */
export function taskOf(
  { data, seed, task }: Setting,
  group: number,
  ...path: readonly (string | number)[]
): Batch {
  const questions = [...answeredQuestions(data, group)];
  return batchOf(data, group, sampleTask(randomStream(seed, 'task', group, ...path), questions, task));
}

/** One task of each training group. */
export function tasksOfAll(setting: Setting, ...path: readonly (string | number)[]): Batch[] {
  return setting.experiment.trainingGroups.map((group) => taskOf(setting, group, ...path));
}

/** Gives the predicted share of each target point of a batch, [T]. */
export type PredictBatch = (batch: Batch) => Promise<Floats>;

/** Mean alignment of the unseen groups, as a run of the quickstart takes it. */
export async function alignmentOf(setting: Setting, predictBatch: PredictBatch): Promise<number> {
  const { data } = setting;
  return scoreOf(setting, async ({ group, context, targets }) => {
    const shares = await predictBatch(batchOf(data, group, { context, target: targets }));
    let position = 0;
    return targets.map((question) => {
      const start = position;
      position += data.rowOf[question + 1]! - data.rowOf[question]!;
      return Float64Array.from(shares.subarray(start, position));
    });
  });
}

/** The same of anything that predicts. */
export async function scoreOf({ experiment, seed }: Setting, predict: Predict): Promise<number> {
  const { survey, unseenGroups, heldOutQuestions, config } = experiment;
  const { contextQuestions, draws } = config.evaluation;
  const { evaluation } = await evaluatePredictor({
    ...{ survey, heldOutQuestions, contextQuestions, draws, seed, predict, concurrency: 1 },
    groups: unseenGroups.map((group) => ({ group, split: 'unseen' as const })),
  });
  return evaluation.summaries.unseen!.mean;
}
