import { asStage } from '../../src/core/brand.ts';
import { randomStream } from '../../src/core/random.ts';
import type { Survey } from '../../src/data/survey.ts';
import { offsetsOf } from '../../src/features/compute.ts';
import type { Features } from '../../src/features/features.ts';
import { gpo } from '../../src/predictor/gpo/gpo.ts';
import type { WorkerSetup } from '../../src/training/jobs.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import { shareData } from '../../src/training/shared-data.ts';
import { tinySurvey } from './tiny-survey.ts';

const WIDTH = 4;

/** Random vectors for all options of a survey. */
export function tinyFeatures(survey: Survey): Features {
  const random = randomStream(0, 'tiny-features');
  const offsets = offsetsOf(survey.questions);
  const rows = Float32Array.from({ length: offsets.at(-1)! * WIDTH }, () => random.normal());
  return asStage({ provider: 'random', width: WIDTH, rows, offsets, digest: 'of random features' });
}

/** A predictor so small that a step takes a millisecond. */
export const TINY_GPO = { width: 8, layers: 1, heads: 2, feedforward: 8, embedderLayers: 2 };

/** What a worker needs to train the tiny predictor on a tiny survey. */
export function tinySetup(changes: Partial<WorkerSetup> = {}): WorkerSetup {
  const survey = tinySurvey({ questions: 12, groups: 4, missing: 0.2, seed: 2 });
  return {
    predictor: { name: 'gpo', options: TINY_GPO },
    device: 'cpu',
    features: 'float32',
    data: shareData(survey, tinyFeatures(survey)),
    seed: 5,
    task: { contextQuestions: [2, 4], targetQuestions: [2, 4] },
    optimizer: ADAM_DEFAULTS,
    schedule: { schedule: 'constant', learningRate: 1e-2, warmupSteps: 0, cosineSteps: null },
    heldOutQuestions: [],
    ...changes,
  };
}

/** Fresh parameters of the tiny predictor. */
export function tinyParameters(): Float32Array {
  return gpo
    .create(TINY_GPO, { featureWidth: WIDTH, rows: 0 })
    .initialise((tensor) => randomStream(1, tensor));
}
