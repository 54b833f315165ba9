import { emitOnnx } from '../../graph/emit.ts';
import * as g from '../../graph/ops.ts';
import { graphsOf } from '../graphs.ts';
import { ParameterViews } from '../parameter-views.ts';
import { definePredictor, GRAPH_NAMES, type PredictorShape, type TrainablePredictor } from '../predictor.ts';
import { questionSoftmax } from '../question-softmax.ts';
import { feedsOf, type GpoInputs, gpoInputs, standaloneInputs } from './inputs.ts';
import { gpoLoss } from './loss.ts';
import { checkHeads, type GpoOptions, gpoOptions } from './options.ts';
import { gpoLayout, initialiseGpo } from './parameters.ts';
import { gpoTransformer } from './transformer.ts';

/** The part of the graph that training and prediction have in common. */
function forward(options: GpoOptions, inputs: GpoInputs, parameters: ParameterViews) {
  const output = gpoTransformer(inputs.tokens, inputs, options, parameters);
  return { output, predicted: questionSoftmax(output.location, inputs.questions) };
}

/** The same with separate inputs and all sizes read from them, for use without our code. */
function standaloneForward(options: GpoOptions, featureWidth: number, parameters: ParameterViews) {
  const inputs = standaloneInputs(featureWidth);
  const { location } = gpoTransformer(inputs.tokens, inputs, options, parameters);
  return questionSoftmax(location, inputs.questions);
}

function createGpo(options: GpoOptions, { featureWidth }: PredictorShape): TrainablePredictor {
  checkHeads(options);
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
