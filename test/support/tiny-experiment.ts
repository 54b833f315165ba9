import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { configFrom } from '../../src/config/load.ts';
import { predictorOf, shapeOf } from '../../src/config/worker-setup.ts';
import type { RunContext } from '../../src/simulate/context.ts';
import type { Experiment } from '../../src/simulate/experiment.ts';
import { type FederatedResult, trainFederated } from '../../src/simulate/federated.ts';
import type { TrainingPool } from '../../src/training/pool.ts';
import { tinySurvey } from './tiny-survey.ts';
import { TINY_GPO, tinyFeatures } from './tiny-training.ts';

/** An experiment on a tiny survey, of as many groups that train and one that does not. */
export function tinyExperiment(groups: number, ...overrides: readonly string[]): Experiment {
  const survey = tinySurvey({ questions: 12, groups: groups + 1, missing: 0.2, seed: 2 });
  const features = tinyFeatures(survey);
  const config = configFrom(
    `data: { survey: tiny, groups: { training: ${groups}, unseen: 1 } }`,
    'tiny.yaml',
    [
      `predictor=${JSON.stringify({ name: 'gpo', ...TINY_GPO })}`,
      'training={ rounds: 3, localSteps: 2, learningRate: 0.01, contextQuestions: [2, 4], targetQuestions: [2, 4] }',
      'evaluation={ every: 10, contextQuestions: 3, draws: 2 }',
      ...overrides,
    ],
  );
  return {
    config,
    survey,
    trainingGroups: Array.from({ length: groups }, (_, group) => group),
    unseenGroups: [groups],
    heldOutQuestions: [],
    features,
    predictor: predictorOf(config, shapeOf(features)),
    device: 'cpu',
    workers: 1,
  };
}

/** What its methods work with, in a folder of its own inside `folder`. */
export function tinyRun(
  experiment: Experiment,
  { folder, pool }: { readonly folder: string; readonly pool: TrainingPool },
): RunContext {
  return {
    experiment,
    pool,
    folder: mkdtempSync(join(folder, 'tiny-')),
    fingerprint: 'ab'.repeat(32),
    emit: () => undefined,
  };
}

/** Trains it federated, in a folder of its own inside `folder`. */
export function trainTiny(
  experiment: Experiment,
  place: { readonly folder: string; readonly pool: TrainingPool },
): Promise<FederatedResult> {
  return trainFederated(tinyRun(experiment, place));
}
