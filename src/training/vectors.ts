import { z } from 'zod';
import { asStage } from '../core/brand.ts';
import { PluralError } from '../core/errors.ts';
import { readFileText } from '../core/files.ts';
import type { Batch, Points } from '../predictor/batch.ts';
import { gpo } from '../predictor/gpo/gpo.ts';
import { tensorOf } from '../predictor/layout.ts';
import { GRAPH_NAMES, type TrainablePredictor, withParameters } from '../predictor/predictor.ts';
import type { Device } from './device.ts';
import { adamStep, freshAdam } from './optimizer.ts';
import { openSession } from './session.ts';

/** Learning rate of the optimiser steps in a vector file. */
const LEARNING_RATE = 3e-4;

const numbers = z.array(z.number());
const size = z.int().min(1);
const points = z
  .object({ question_lengths: z.array(size), x: z.array(numbers), y: numbers })
  .refine(({ question_lengths, x, y }) => {
    const count = question_lengths.reduce((sum, length) => sum + length, 0);
    return x.length === count && y.length === count;
  }, 'x, y and the sum of question_lengths differ in length');

/** Reference numbers of one task: inputs, parameters, and what float64 arithmetic makes of them. */
const vectorFile = z.object({
  config: z.object({
    dim_x: size,
    d_model: size,
    emb_depth: z.int().min(2),
    dim_feedforward: size,
    nhead: size,
    num_layers: size,
    norm: z.enum(['post', 'pre']),
  }),
  context: points,
  target: points,
  parameters: z.record(z.string(), numbers),
  predicted: z.object({ loc: numbers, scale: numbers, probabilities: numbers }),
  losses: numbers,
  gradients: z.record(z.string(), numbers),
  parameters_after_3_steps: z.record(z.string(), numbers),
});
type VectorFile = z.output<typeof vectorFile>;

/** One compared figure. */
export interface VectorCheck {
  readonly figure: string;
  /** Relative L2 error; absolute where the reference is zero throughout. */
  readonly error: number;
  readonly passed: boolean;
}

function readVectors(path: string): VectorFile {
  const parsed = vectorFile.safeParse(parseJson(path));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new PluralError('DATA_FORMAT', `${path}: ${issue?.path.join('.')}: ${issue?.message}`, {
    hint: 'Expected a file of reference figures like gpo-small.json in test/vectors.',
  });
}

function parseJson(path: string): unknown {
  try {
    return JSON.parse(readFileText(path));
  } catch (thrown) {
    if (thrown instanceof PluralError) throw thrown;
    throw new PluralError('DATA_FORMAT', `${path} is not JSON`, { cause: thrown });
  }
}

/** Points whose features are the rows of a table from `firstRow` on. */
function pointsOf({ question_lengths, y }: VectorFile['context'], firstRow: number): Points {
  return {
    rows: Int32Array.from(y, (_, index) => firstRow + index),
    probabilities: Float32Array.from(y),
    questions: Int32Array.from(question_lengths.flatMap((length, index) => Array(length).fill(index))),
  };
}

function predictorOf({ config }: VectorFile): TrainablePredictor {
  const options = {
    width: config.d_model,
    layers: config.num_layers,
    heads: config.nhead,
    feedforward: config.dim_feedforward,
    embedderLayers: config.emb_depth,
    norm: config.norm,
    // The reference figures are those of the paper's unbounded variance.
    stdFloor: 0,
  };
  return gpo.create(options, { featureWidth: config.dim_x, rows: 0 });
}

/** Relative L2 distance of a vector to its reference. */
export function relativeError(values: ArrayLike<number>, reference: ArrayLike<number>): number {
  if (values.length !== reference.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let size = 0;
  for (let i = 0; i < reference.length; i++) {
    difference += (values[i]! - reference[i]!) ** 2;
    size += reference[i]! ** 2;
  }
  return Math.sqrt(difference) / (size > 0 ? Math.sqrt(size) : 1);
}

/**
 * Holds an execution device against a file of reference figures: loss, every gradient tensor, predictions, and
 * the parameters after three Adam steps. `tolerance` bounds the relative L2 error of each figure.
 */
export async function checkVectors(path: string, device: Device, tolerance: number): Promise<VectorCheck[]> {
  const file = readVectors(path);
  const predictor = predictorOf(file);
  const batch: Batch = asStage({
    width: file.config.dim_x,
    table: Float32Array.from([...file.context.x, ...file.target.x].flat()),
    context: pointsOf(file.context, 0),
    target: pointsOf(file.target, file.context.x.length),
  });
  const parameters = new Float32Array(predictor.layout.size);
  for (const entry of predictor.layout.entries) {
    const values = file.parameters[entry.name];
    if (values?.length !== entry.size) {
      throw new PluralError(
        'DATA_FORMAT',
        `${path}: parameters.${entry.name} must have ${entry.size} numbers`,
      );
    }
    tensorOf(predictor.layout, parameters, entry.name).set(values);
  }
  const figures = [
    ...(await predictionFigures(predictor, device, batch, parameters, file)),
    ...(await trainingFigures(predictor, device, batch, parameters, file)),
  ];
  return figures.map(([figure, error]) => ({ figure, error, passed: error <= tolerance }));
}

type Figure = readonly [name: string, error: number];

async function predictionFigures(
  predictor: TrainablePredictor,
  device: Device,
  batch: Batch,
  parameters: Float32Array,
  { predicted }: VectorFile,
): Promise<Figure[]> {
  const session = await openSession(predictor.predictionGraph(), device);
  try {
    const outputs = await session.run(withParameters(predictor.feeds(batch), parameters));
    return [
      ['predicted.probabilities', relativeError(outputs['probabilities'] ?? [], predicted.probabilities)],
      ['predicted.loc', relativeError(outputs['location'] ?? [], predicted.loc)],
      ['predicted.scale', relativeError(outputs['scale'] ?? [], predicted.scale)],
    ];
  } finally {
    await session.close();
  }
}

async function trainingFigures(
  predictor: TrainablePredictor,
  device: Device,
  batch: Batch,
  initial: Float32Array,
  file: VectorFile,
): Promise<Figure[]> {
  const { layout } = predictor;
  const session = await openSession(predictor.trainingGraph(), device);
  const figures: Figure[] = [];
  try {
    const parameters = initial.slice();
    const state = freshAdam(layout.size);
    for (const [step, reference] of file.losses.entries()) {
      const outputs = await session.run(withParameters(predictor.feeds(batch), parameters));
      const gradient = outputs[GRAPH_NAMES.gradient]!;
      figures.push([`losses[${step}]`, relativeError(outputs[GRAPH_NAMES.loss]!, [reference])]);
      if (step === 0) {
        for (const { name } of layout.entries) {
          const error = relativeError(tensorOf(layout, gradient, name), file.gradients[name] ?? []);
          figures.push([`gradients.${name}`, error]);
        }
      }
      adamStep(parameters, gradient, state, LEARNING_RATE);
    }
    for (const { name } of layout.entries) {
      const error = relativeError(
        tensorOf(layout, parameters, name),
        file.parameters_after_3_steps[name] ?? [],
      );
      figures.push([`parameters_after_3_steps.${name}`, error]);
    }
  } finally {
    await session.close();
  }
  return figures;
}
