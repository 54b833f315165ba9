import { randomStream } from '../../src/core/random.ts';
import { meanOf } from '../../src/evaluate/group-scores.ts';
import { closeSharded, openSharded, type ShardedModel } from '../../src/sharding/parts/sharded-model.ts';
import type { Engine } from '../../src/training/engine.ts';
import { engineFor } from '../../src/training/engine-for.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import { learningRateAt } from '../../src/training/schedule.ts';
import { type Course, trainedEpochs } from './epochs.ts';
import { alignmentOf, type Setting, settingOf, tasksOfAll } from './setting.ts';
import { type Anatomy, anatomyOf } from './shards.ts';

/** How the model is trained: steps of one task of each training group. */
export const TRAINING = {
  epochs: 12,
  stepsPerEpoch: 20,
  schedule: 'warmup-cosine',
  learningRate: 0.001,
  warmupSteps: 24,
  cosineSteps: null,
} as const;

export const STEPS = TRAINING.epochs * TRAINING.stepsPerEpoch;

/** Epochs whose shards an attacker uses: those after which the model changes little, so that what keeps shards apart is the morphs. */
export const LATE_EPOCHS: readonly number[] = [6, 7, 8, 9, 10, 11];

/** What a forward pass of a task costs of a pass with gradients, which is one forward and about two backward. */
export const FORWARD = 1 / 3;

/** A model that was trained in parts, with the shards of each epoch, and the same without morphs. */
export interface Trained {
  readonly setting: Setting;
  readonly anatomy: Anatomy;
  /** Flat vectors at the end of each epoch. */
  readonly epochs: readonly Float64Array[];
  /** The same of an ordinary start, never turned. */
  readonly plainEpochs: readonly Float64Array[];
  /** Task passes of the training. */
  readonly passes: number;
  readonly featureWidth: number;
  /** Alignment of the unseen groups. */
  readonly score: (model: Float64Array | Float32Array) => Promise<number>;
  /** The model in one piece, to ask. */
  readonly engine: Engine;
}

/** The start of a model that the attackers do not know; `whose` tells draws apart. */
export function startOf({ predictor, seed }: Setting, whose: string): Float64Array {
  return Float64Array.from(predictor.initialise((tensor) => randomStream(seed, 'start', whose, tensor)));
}

/** The course of a setting. */
export function courseOf(setting: Setting, morphs: boolean): Course {
  return {
    ...{ options: setting.options, featureWidth: setting.data.width, seed: setting.seed, morphs },
    ...{ epochs: TRAINING.epochs, stepsPerEpoch: TRAINING.stepsPerEpoch },
    start: startOf(setting, 'the keepers'),
    tasksOf: (step) => tasksOfAll(setting, step),
    learningRateOf: (step) => learningRateAt(step, STEPS, TRAINING),
  };
}

/** An engine for models of the setting, with nothing loaded. */
export function openEngine({ predictor }: Setting): Engine {
  return engineFor({ predictor, device: 'cpu', optimizer: ADAM_DEFAULTS, features: 'float32' });
}

/** Opens a flat vector in parts, for the time of `use`. */
export async function inParts<Result>(
  { options, data }: Pick<Setting, 'options' | 'data'>,
  parameters: Float64Array,
  use: (model: ShardedModel) => Promise<Result>,
): Promise<Result> {
  const model = await openSharded({
    options,
    featureWidth: data.width,
    parameters,
    optimizer: ADAM_DEFAULTS,
  });
  try {
    return await use(model);
  } finally {
    await closeSharded(model);
  }
}

/** Trains the model of a seed, with morphs and without. */
export async function trainOn(seed: number): Promise<Trained> {
  const setting = await settingOf(seed);
  const featureWidth = setting.data.width;
  const engine = openEngine(setting);
  return {
    setting,
    anatomy: anatomyOf(setting.options, featureWidth),
    epochs: await trainedEpochs(courseOf(setting, true)),
    plainEpochs: await trainedEpochs(courseOf(setting, false)),
    passes: STEPS * setting.experiment.trainingGroups.length,
    featureWidth,
    score: async (model) => {
      await engine.load(Float32Array.from(model));
      return alignmentOf(setting, (batch) => engine.predict(batch));
    },
    engine,
  };
}

/** What one way of attack came to with one seed. */
export interface Outcome {
  readonly label: string;
  /** What whoever does it must have, in words. */
  readonly needs: string;
  /** Its cost as a share of the training's; null where nothing is computed. */
  readonly cost: number | null;
  /** Mean alignment over the draws, and the highest of them. */
  readonly score: number;
  readonly highest: number;
}

/** An outcome from the scores of its draws. */
export function outcomeOf(
  what: Pick<Outcome, 'label' | 'needs'> & { readonly cost?: number },
  scores: readonly number[],
): Outcome {
  const { label, needs, cost = null } = what;
  return { label, needs, cost, score: meanOf(scores), highest: Math.max(...scores) };
}
