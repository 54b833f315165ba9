import type { Survey } from '../data/survey.ts';
import { computeFeatures } from '../features/compute.ts';
import type { Features } from '../features/features.ts';
import { featuresProvider } from '../features/table.ts';
import type { PredictorShape, TrainablePredictor } from '../predictor/predictor.ts';
import { predictorKind } from '../predictor/table.ts';
import type { Device } from '../training/device.ts';
import type { WorkerSetup } from '../training/jobs.ts';
import { ADAM_DEFAULTS } from '../training/optimizer.ts';
import { shareData } from '../training/shared-data.ts';
import type { RunPlan } from '../wire/run-definition.ts';
import type { Config } from './config.ts';
import { optionsOf } from './round-plugins.ts';

/** The features that a configuration names, of these questions. Errors: those of `computeFeatures`. */
export function featuresOf(
  config: Config,
  questions: Survey['questions'],
  warn: (message: string) => void,
): Promise<Features> {
  const provider = featuresProvider(config.features.name);
  return computeFeatures({ provider, options: optionsOf(config.features), questions, warn });
}

/** The predictor that a configuration names, for a feature table of this shape. Errors: CONFIG_INVALID. */
export function predictorOf(config: Config, shape: PredictorShape): TrainablePredictor {
  return predictorKind(config.predictor.name).create(optionsOf(config.predictor), shape);
}

/** The predictor of a run, from what everybody knows of it. Errors: CONFIG_INVALID. */
export function plannedPredictor(config: Config, { survey, features }: RunPlan): TrainablePredictor {
  const rows = survey.questions.reduce((sum, { options }) => sum + options.length, 0);
  return predictorOf(config, { featureWidth: features.width, rows });
}

/** What a predictor on these features is made for. */
export function shapeOf({ width, offsets }: Features): PredictorShape {
  return { featureWidth: width, rows: offsets.at(-1) ?? 0 };
}

/** What training works on, beside its configuration. */
export interface TrainingInputs {
  readonly survey: Survey;
  readonly features: Features;
  readonly predictor: TrainablePredictor;
  readonly device: Device;
  /** Indices of questions that no training task may touch. */
  readonly heldOutQuestions: readonly number[];
}

/** What the workers of a configuration are started with. */
export function workerSetup(config: Config, inputs: TrainingInputs): WorkerSetup {
  const { survey, features, predictor, device, heldOutQuestions } = inputs;
  const { training, seed } = config;
  return {
    predictor: { name: predictor.name, options: predictor.options },
    device,
    features: config.runtime.features,
    data: shareData(survey, features),
    seed,
    task: { contextQuestions: training.contextQuestions, targetQuestions: training.targetQuestions },
    optimizer: { ...ADAM_DEFAULTS, weightDecay: training.weightDecay },
    schedule: {
      schedule: training.schedule,
      learningRate: training.learningRate,
      warmupSteps: training.warmupSteps,
      cosineSteps: training.cosineSteps,
    },
    heldOutQuestions,
  };
}
