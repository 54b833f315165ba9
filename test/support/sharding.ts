import { randomStream } from '../../src/core/random.ts';
import type { Batch } from '../../src/predictor/batch.ts';
import { GRAPH_NAMES, type TrainablePredictor } from '../../src/predictor/predictor.ts';
import { type StagedOptions, stagedOptions } from '../../src/predictor/staged/options.ts';
import { staged } from '../../src/predictor/staged/staged.ts';
import { boundaryAxes } from '../../src/sharding/parts/boundary-axes.ts';
import { innerKey, morphFrom, turnSpace } from '../../src/sharding/parts/morph.ts';
import { type Floats, openPart, type Precision } from '../../src/sharding/parts/part-session.ts';
import { PartState } from '../../src/sharding/parts/part-state.ts';
import { morphBoundary, type ShardedModel } from '../../src/sharding/parts/sharded-model.ts';
import { ADAM_DEFAULTS, type AdamOptions } from '../../src/training/optimizer.ts';
import { type BatchQuestion, batchFrom, randomQuestions } from './random-batch.ts';

export const FEATURE_WIDTH = 4;
const QUESTIONS = randomQuestions(3, 24, FEATURE_WIDTH);

/** Answers that can be learned: the scores of options follow from the first two features, of one as much as the group leans to it. */
function answersOf(lean: number): BatchQuestion[] {
  return QUESTIONS.map((question) => {
    const weights = [...question.shares.keys()].map((option) => {
      const [a = 0, b = 0] = question.features.subarray(FEATURE_WIDTH * option);
      return Math.exp(a + lean * b);
    });
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { ...question, shares: Float32Array.from(weights, (weight) => weight / total) };
  });
}

/** A staged transformer so small that a step of all parts takes a few milliseconds. */
export function tinyStaged(changes: Partial<StagedOptions> = {}): StagedOptions {
  return stagedOptions.parse({
    ...{ width: 8, heads: 2, feedforward: 8, embedderLayers: 2, layersPerStage: 1, loss: 'kl' },
    ...changes,
  });
}

/** The predictor in one piece. */
export function tinyPredictor(options: StagedOptions): TrainablePredictor {
  return staged.create(options, { featureWidth: FEATURE_WIDTH, rows: 0 });
}

/** Its start. */
export function startOf(options: StagedOptions, seed = 1): Float32Array {
  return tinyPredictor(options).initialise((tensor) => randomStream(seed, tensor));
}

/** Tasks of groups that lean one way or the other. */
export function tinyTasks(count: number, seed = 4): Batch[] {
  return Array.from({ length: count }, (_, index) => {
    const random = randomStream(seed, 'tiny-tasks', index);
    const questions = random.shuffled(answersOf([-2, -1, 1, 2][index % 4]!));
    const told = 4 + random.below(4);
    return batchFrom(FEATURE_WIDTH, questions.slice(0, told), questions.slice(told, told + 5));
  });
}

/** A key of 32 bytes. */
export function keyOf(...path: readonly (string | number)[]): Uint8Array {
  const random = randomStream(5, 'morph', ...path);
  return Uint8Array.from({ length: 32 }, () => random.below(256));
}

/** The same model in one graph, with the same optimiser and without morphs. */
export interface Twin {
  step(tasks: readonly Batch[], learningRate: number): Promise<number>;
  predict(batch: Batch): Promise<Floats>;
  masters(): Float64Array;
  close(): Promise<void>;
}

export interface TwinSetup {
  readonly options: StagedOptions;
  readonly parameters: Floats;
  readonly precision?: Precision;
  readonly optimizer?: AdamOptions;
  /** No sharing of second moments. */
  readonly elementwise?: boolean;
}

/** Opens it. */
export async function openTwin(setup: TwinSetup): Promise<Twin> {
  const { options, parameters, precision = 'float32', optimizer = ADAM_DEFAULTS, elementwise } = setup;
  const predictor = tinyPredictor(options);
  const { layout } = predictor;
  const axes = boundaryAxes(layout, options);
  const shared = elementwise === true ? { shared: [] } : {};
  const state = new PartState({ layout, axes, ...shared, parameters, optimizer, precision });
  const training = await openPart(predictor.trainingGraph({ precision }), precision);
  const prediction = await openPart(predictor.predictionGraph({ precision }), precision);
  return {
    step: async (tasks, learningRate) => {
      let loss = 0;
      for (const task of tasks) {
        const outputs = await training.run(state.forGraphs(), {}, predictor.feeds(task));
        loss += outputs[GRAPH_NAMES.loss]![0]! / tasks.length;
        state.add(outputs[GRAPH_NAMES.gradient]!);
      }
      state.step(learningRate);
      return loss;
    },
    predict: async (batch) => {
      const outputs = await prediction.run(state.forGraphs(), {}, predictor.feeds(batch));
      return outputs[GRAPH_NAMES.probabilities]!;
    },
    masters: () => state.masters(),
    close: async () => {
      await Promise.all([training.close(), prediction.close()]);
    },
  };
}

/** Largest difference between two lists of numbers. */
export function distance(a: Floats, b: Floats): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
  return worst;
}

/** Predictions of a flat vector of parameters in one graph, in float64. */
export async function openWhole(options: StagedOptions) {
  const predictor = tinyPredictor(options);
  const session = await openPart(predictor.predictionGraph({ precision: 'float64' }), 'float64');
  return {
    layout: predictor.layout,
    axes: boundaryAxes(predictor.layout, options),
    predict: async (parameters: Floats, batch: Batch): Promise<Floats> =>
      (await session.run(parameters, {}, predictor.feeds(batch)))[GRAPH_NAMES.probabilities]!,
    close: () => session.close(),
  };
}

/** Numbers of all spaces of a model, from that after the front to that before the head. */
export function allSpaces({ stages, layersPerStage }: StagedOptions): number[] {
  return Array.from({ length: 2 * stages * layersPerStage + 1 }, (_, space) => space);
}

/** What an epoch turns a boundary by. */
export function rotationOf({ width }: StagedOptions, epoch: number, boundary: number): Float64Array {
  return morphFrom(keyOf(epoch, 'boundary', boundary), width);
}

/** Morphs all boundaries of a model and all spaces inside its stages. */
export function morphAll(model: ShardedModel, { stages, width }: StagedOptions, epoch: number): void {
  for (let boundary = 0; boundary <= stages; boundary++) {
    morphBoundary(model, boundary, keyOf(epoch, 'boundary', boundary), width);
  }
  for (const [index, stage] of model.stages.entries()) stage.foldInside(keyOf(epoch, 'inside', index));
}

/** The same on a flat vector of the whole model, in place. */
export function turnAll(values: Floats, options: StagedOptions, epoch: number): void {
  const axes = boundaryAxes(tinyPredictor(options).layout, options);
  const { stages, layersPerStage, width } = options;
  for (let boundary = 0; boundary <= stages; boundary++) {
    turnSpace(values, axes, 2 * layersPerStage * boundary, rotationOf(options, epoch, boundary));
  }
  for (const space of allSpaces(options)) {
    const stage = Math.floor(space / (2 * layersPerStage));
    if (space === 2 * layersPerStage * stage) continue;
    turnSpace(values, axes, space, morphFrom(innerKey(keyOf(epoch, 'inside', stage), space), width));
  }
}

/** All parameters of a sharded model as one flat vector. */
export function mastersOf({ front, stages, head }: ShardedModel): Float64Array {
  return Float64Array.from([front, ...stages, head].flatMap((part) => [...part.masters()]));
}
