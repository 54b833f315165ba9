import { PluralError } from '../../core/errors.ts';
import { emitOnnx } from '../../graph/emit.ts';
import * as g from '../../graph/ops.ts';
import type { Batch } from '../batch.ts';
import { ParameterViews } from '../parameter-views.ts';
import { definePredictor, type Feeds, GRAPH_NAMES, type TrainablePredictor } from '../predictor.ts';
import { questionSoftmax } from '../question-softmax.ts';
import { gpoLoss } from './loss.ts';
import { type GpoOptions, gpoOptions } from './options.ts';
import { gpoLayout, initialiseGpo } from './parameters.ts';
import { gpoTransformer } from './transformer.ts';

/** Symbols of the graph's sizes: all points, context points, target points. */
const ROWS = { whole: 'N', head: 'C', tail: 'T' } as const;

/** Tokens (feature, share) of all points [N, F + 1], context first; the share of a target is 0. */
function tokensOf({ width, context, target }: Batch): Float32Array {
  const contextCount = context.questions.length;
  const tokens = new Float32Array((contextCount + target.questions.length) * (width + 1));
  const put = (features: Float32Array, row: number, point: number) =>
    tokens.set(features.subarray(point * width, (point + 1) * width), row * (width + 1));
  for (let i = 0; i < contextCount; i++) {
    put(context.features, i, i);
    tokens[i * (width + 1) + width] = context.probabilities[i]!;
  }
  for (let i = 0; i < target.questions.length; i++) put(target.features, contextCount + i, i);
  return tokens;
}

function feedsOf(batch: Batch): Feeds {
  const { width, context, target } = batch;
  const contextCount = context.questions.length;
  const targetCount = target.questions.length;
  return {
    tokens: { type: 'float32', data: tokensOf(batch), dims: [contextCount + targetCount, width + 1] },
    context_count: { type: 'int64', data: BigInt64Array.of(BigInt(contextCount)), dims: [1] },
    target_share: { type: 'float32', data: target.probabilities, dims: [targetCount] },
    target_question: { type: 'int32', data: target.questions, dims: [targetCount] },
  };
}

/** The part of the graph that training and prediction have in common. */
function forward(options: GpoOptions, featureWidth: number, parameters: ParameterViews) {
  const tokens = g.input('tokens', [ROWS.whole, featureWidth + 1]);
  const questions = g.input('target_question', [ROWS.tail], 'int32');
  const boundary = {
    ...ROWS,
    headCount: g.input('context_count', [1], 'int64'),
    tailCount: g.rowCount(questions),
  };
  const output = gpoTransformer(tokens, boundary, options, parameters);
  return { output, predicted: questionSoftmax(output.location, questions) };
}

/** The same with separate inputs and all sizes read from them, for use without our code. */
function standaloneForward(options: GpoOptions, featureWidth: number, parameters: ParameterViews) {
  const contextFeatures = g.input('context_features', [ROWS.head, featureWidth]);
  const contextShares = g.input('context_shares', [ROWS.head]);
  const targetFeatures = g.input('target_features', [ROWS.tail, featureWidth]);
  const questions = g.input('target_question', [ROWS.tail], 'int32');
  const boundary = {
    ...ROWS,
    headCount: g.rowCount(contextFeatures),
    tailCount: g.rowCount(targetFeatures),
  };
  const contextTokens = g.concat([contextFeatures, g.reshape(contextShares, [ROWS.head, 1])], 1);
  const targetTokens = g.pad(targetFeatures, 1, 0, 1);
  const tokens = g.join(contextTokens, targetTokens, boundary);
  const { location } = gpoTransformer(tokens, boundary, options, parameters);
  return questionSoftmax(location, questions);
}

function createGpo(options: GpoOptions, featureWidth: number): TrainablePredictor {
  if (options.width % options.heads !== 0) {
    throw new PluralError(
      'CONFIG_INVALID',
      `predictor: width ${options.width} is not a multiple of heads ${options.heads}`,
      { hint: 'Each head takes an equal share of the width; choose, for instance, width 64 with 4 heads.' },
    );
  }
  const layout = gpoLayout(options, featureWidth);
  return {
    name: 'gpo',
    options,
    featureWidth,
    layout,
    initialise: (streamOf) => initialiseGpo(options, layout, streamOf),
    trainingGraph: (precision = 'float32') => {
      const parameters = new ParameterViews(layout);
      const { output, predicted } = forward(options, featureWidth, parameters);
      const loss = gpoLoss(g.input('target_share', [ROWS.tail]), predicted, output, options);
      const gradient = parameters.gradientOf(loss);
      return emitOnnx(
        { [GRAPH_NAMES.loss]: loss, [GRAPH_NAMES.gradient]: gradient },
        { name: 'gpo-training', precision },
      );
    },
    predictionGraph: () => {
      const { output, predicted } = forward(options, featureWidth, new ParameterViews(layout));
      const scale = g.exp(output.logScale);
      const { probabilities } = predicted;
      return emitOnnx(
        { [GRAPH_NAMES.probabilities]: probabilities, location: output.location, scale },
        { name: 'gpo-prediction' },
      );
    },
    exportGraph: (values, metadata) => {
      const { probabilities } = standaloneForward(options, featureWidth, new ParameterViews(layout));
      const stored = { [GRAPH_NAMES.parameters]: values };
      return emitOnnx({ [GRAPH_NAMES.probabilities]: probabilities }, { name: 'gpo', stored, metadata });
    },
    feeds: feedsOf,
  };
}

/** The predictor of the paper: a transformer that reads a group's answers in context. */
export const gpo = definePredictor({
  name: 'gpo',
  describe: 'transformer over (feature, share) points of the context; the predictor of PluralLLM',
  options: gpoOptions,
  create: createGpo,
});
