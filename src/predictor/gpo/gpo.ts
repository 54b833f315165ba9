import { PluralError } from '../../core/errors.ts';
import { emitOnnx } from '../../graph/emit.ts';
import * as g from '../../graph/ops.ts';
import { graphsOf } from '../graphs.ts';
import { ParameterViews } from '../parameter-views.ts';
import { definePredictor, GRAPH_NAMES, type PredictorShape, type TrainablePredictor } from '../predictor.ts';
import { questionSoftmax } from '../question-softmax.ts';
import { feedsOf, type GpoInputs, gpoInputs, ROWS } from './inputs.ts';
import { gpoLoss } from './loss.ts';
import { type GpoOptions, gpoOptions } from './options.ts';
import { gpoLayout, initialiseGpo } from './parameters.ts';
import { gpoTransformer } from './transformer.ts';

/** The part of the graph that training and prediction have in common. */
function forward(options: GpoOptions, inputs: GpoInputs, parameters: ParameterViews) {
  const output = gpoTransformer(inputs.tokens, inputs, options, parameters);
  return { output, predicted: questionSoftmax(output.location, inputs.questions) };
}

/** The same with separate inputs and all sizes read from them, for use without our code. */
function standaloneForward(options: GpoOptions, featureWidth: number, parameters: ParameterViews) {
  const contextFeatures = g.input('context_features', [ROWS.head, featureWidth]);
  const contextShares = g.input('context_shares', [ROWS.head]);
  const targetFeatures = g.input('target_features', [ROWS.tail, featureWidth]);
  const questions = g.input('target_question', [ROWS.tail], 'int32');
  const zero = g.integer(0);
  const headCount = g.rowCount(contextFeatures);
  const boundary = {
    whole: ROWS.whole,
    head: ROWS.head,
    tail: ROWS.tail,
    headCount,
    afterHead: g.concat([zero, g.rowCount(targetFeatures)], 0),
    beforeTail: g.concat([headCount, zero], 0),
  };
  const contextTokens = g.concat([contextFeatures, g.reshape(contextShares, [ROWS.head, 1])], 1);
  const targetTokens = g.pad(targetFeatures, 1, 0, 1);
  const tokens = g.join(contextTokens, targetTokens, boundary);
  const { location } = gpoTransformer(
    tokens,
    { boundary, contextSize: g.toFloat(headCount) },
    options,
    parameters,
  );
  return questionSoftmax(location, questions);
}

function createGpo(options: GpoOptions, { featureWidth }: PredictorShape): TrainablePredictor {
  if (options.width % options.heads !== 0) {
    throw new PluralError(
      'CONFIG_INVALID',
      `predictor: width ${options.width} is not a multiple of heads ${options.heads}`,
      { hint: 'Each head takes an equal share of the width; choose, for instance, width 64 with 4 heads.' },
    );
  }
  const layout = gpoLayout(options, featureWidth);
  const graphs = graphsOf({
    name: 'gpo',
    layout,
    loss: (parameters, features) => {
      const inputs = gpoInputs(featureWidth, features);
      const { output, predicted } = forward(options, inputs, parameters);
      return gpoLoss(inputs, predicted, output, options);
    },
    predictions: (parameters, features) => {
      const { output, predicted } = forward(options, gpoInputs(featureWidth, features), parameters);
      const { probabilities } = predicted;
      const scale = g.exp(output.logScale);
      return { [GRAPH_NAMES.probabilities]: probabilities, location: output.location, scale };
    },
  });
  return {
    name: 'gpo',
    options,
    featureWidth,
    layout,
    initialise: (streamOf) => initialiseGpo(options, layout, streamOf),
    ...graphs,
    exportGraph: (values, metadata) => {
      const { probabilities } = standaloneForward(options, featureWidth, new ParameterViews(layout));
      const stored = { [GRAPH_NAMES.parameters]: values };
      return emitOnnx({ [GRAPH_NAMES.probabilities]: probabilities }, { name: 'gpo', stored, metadata });
    },
    exportSignature: `context_features [C, ${featureWidth}], context_shares [C], target_features [T, ${featureWidth}], target_question int32 [T]`,
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
