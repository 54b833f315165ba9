import type { z } from 'zod';
import type { RandomStream } from '../core/random.ts';
import type { Scratch } from '../core/scratch.ts';
import type { AdamRates } from '../graph/adam.ts';
import type { Batch } from './batch.ts';
import type { ParameterLayout } from './layout.ts';

/** A tensor as plain data, ready to be fed to a graph. */
export interface FeedTensor {
  readonly type: 'float32' | 'int32' | 'int64';
  readonly data: Float32Array | Int32Array | BigInt64Array;
  readonly dims: readonly number[];
}

export type Feeds = Readonly<Record<string, FeedTensor>>;

/** Input and output names that every predictor's graphs share. */
export const GRAPH_NAMES = {
  /** Flat parameter vector, float32 [layout.size]. */
  parameters: 'parameters',
  /** Scalar training loss. */
  loss: 'loss',
  /** Flat gradient of the loss, float32 [layout.size]. */
  gradient: 'gradient',
  /** Predicted share of each target point, float32 [T]. */
  probabilities: 'probabilities',
  /** Table of feature vectors, [rows, width]: an input of graphs that read features by row. */
  features: 'features',
  /** Adam's moments, float32 [layout.size] each, and its figures of the step: inputs of graphs that take the step themselves. */
  first: 'first',
  second: 'second',
  figures: 'figures',
  /** Parameters and moments after the step: outputs of such graphs. */
  parametersAfter: 'parameters_after',
  firstAfter: 'first_after',
  secondAfter: 'second_after',
} as const;

/** How a graph gets feature vectors: fed with each batch, or by row from a table that stays on the device, in float32 or float16. */
export type FeatureSource = 'fed' | 'table' | 'half-table';

/** Which graph of a predictor. */
export interface GraphOptions {
  /** Default float32. */
  readonly precision?: 'float32' | 'float64';
  /** Default `fed`. */
  readonly features?: FeatureSource;
  /**
   * Whether large tensors have inputs, and gradients, of their own: views of the flat vectors in the parts of the layout (partsOf), which
   * the graph then need not copy. In place of `gradient` the parts' outputs are given. Default false.
   */
  readonly apart?: boolean;
  /** Operators that every provider has, or faster ones that the CPU has. Default `common`. */
  readonly operators?: 'cpu' | 'common';
}

/** Feeds with the flat parameter vector added. */
export function withParameters(feeds: Feeds, parameters: Float32Array): Feeds {
  return {
    ...feeds,
    [GRAPH_NAMES.parameters]: { type: 'float32', data: parameters, dims: [parameters.length] },
  };
}

/**
 * A predictor that is trained: how it maps a batch to a loss, a gradient and predictions, as ONNX graphs over
 * one flat parameter vector. It holds no parameters itself.
 */
export interface TrainablePredictor {
  readonly name: string;
  /** Its options with every default filled in, as plain JSON. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Width of the feature vectors it takes. */
  readonly featureWidth: number;
  readonly layout: ParameterLayout;
  /** Fresh parameters; `streamOf` gives the randomness of one tensor. */
  initialise(streamOf: (tensor: string) => RandomStream): Float32Array;
  /** ONNX bytes: parameters and `feeds(batch)` in, `loss` and `gradient` out. */
  trainingGraph(options?: GraphOptions): Uint8Array;
  /** ONNX bytes: parameters, moments, figures and `feeds(batch)` in; `loss`, parameters and moments after one step of Adam out. */
  stepGraph(rates: AdamRates, options?: GraphOptions): Uint8Array;
  /** ONNX bytes: parameters and `feeds(batch)` in, `probabilities` out. */
  predictionGraph(options?: GraphOptions): Uint8Array;
  /** ONNX bytes with the parameters inside and inputs that need no code of ours (`exportSignature`). */
  exportGraph(parameters: Float32Array, metadata: Readonly<Record<string, string>>): Uint8Array;
  /** The inputs of that graph, as `pluralllm export` prints them. */
  readonly exportSignature: string;
  /**
   * What to feed for a batch, for training and prediction alike; `source` as the graph was made for. What is large lies in the
   * scratch memory: with one that is kept, feeds are valid until the next are made.
   */
  feeds(batch: Batch, source?: FeatureSource, scratch?: Scratch): Feeds;
}

/** What a predictor is made for. */
export interface PredictorShape {
  /** Width of a feature vector. */
  readonly featureWidth: number;
  /** Rows of the feature table: (question, option) pairs of the survey. */
  readonly rows: number;
}

/** A kind of predictor in the plug-in table. */
export interface PredictorKind {
  readonly name: string;
  readonly describe: string;
  /** Strict schema of its options, defaults included. */
  readonly options: z.ZodType<Record<string, unknown>>;
  /** CONFIG_INVALID where options contradict each other. */
  create(options: unknown, shape: PredictorShape): TrainablePredictor;
}

/** Makes a plug-in; the options are parsed by its own schema before `create` sees them. */
export function definePredictor<Options extends z.ZodType<Record<string, unknown>>>(kind: {
  readonly name: string;
  readonly describe: string;
  readonly options: Options;
  readonly create: (options: z.output<Options>, shape: PredictorShape) => TrainablePredictor;
}): PredictorKind {
  return {
    name: kind.name,
    describe: kind.describe,
    options: kind.options,
    create: (options, shape) => kind.create(kind.options.parse(options), shape),
  };
}
