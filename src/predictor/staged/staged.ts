import { emitOnnx } from '../../graph/emit.ts';
import * as g from '../../graph/ops.ts';
import { feedsOf, gpoInputs, standaloneInputs, type TokenInputs } from '../gpo/inputs.ts';
import { gpoLoss } from '../gpo/loss.ts';
import { checkHeads } from '../gpo/options.ts';
import { graphsOf } from '../graphs.ts';
import { ParameterViews } from '../parameter-views.ts';
import { definePredictor, GRAPH_NAMES, type PredictorShape, type TrainablePredictor } from '../predictor.ts';
import { questionSoftmax } from '../question-softmax.ts';
import { stagedTransformer } from './forward.ts';
import { type StagedOptions, stagedOptions } from './options.ts';
import { initialiseStaged, stagedLayout } from './parameters.ts';

/** The part of the graph that training and prediction have in common. */
function forward(inputs: TokenInputs, options: StagedOptions, parameters: ParameterViews) {
  const output = stagedTransformer(inputs.tokens, inputs, options, parameters);
  return { output, predicted: questionSoftmax(output.location, inputs.questions) };
}

function createStaged(options: StagedOptions, { featureWidth }: PredictorShape): TrainablePredictor {
  checkHeads(options);
  const layout = stagedLayout(options, featureWidth);
  return {
    name: 'staged',
    options,
    featureWidth,
    layout,
    initialise: (streamOf) => initialiseStaged(layout, streamOf),
    ...graphsOf({
      name: 'staged',
      layout,
      loss: (parameters, features) => {
        const inputs = gpoInputs(featureWidth, features);
        const { output, predicted } = forward(inputs, options, parameters);
        return gpoLoss(inputs, predicted, output, options);
      },
      predictions: (parameters, features) => {
        const { output, predicted } = forward(gpoInputs(featureWidth, features), options, parameters);
        const { probabilities } = predicted;
        const scale = g.exp(output.logScale);
        return { [GRAPH_NAMES.probabilities]: probabilities, location: output.location, scale };
      },
    }),
    exportGraph: (values, metadata) => {
      const { predicted } = forward(standaloneInputs(featureWidth), options, new ParameterViews(layout));
      const outputs = { [GRAPH_NAMES.probabilities]: predicted.probabilities };
      return emitOnnx(outputs, { name: 'staged', stored: { [GRAPH_NAMES.parameters]: values }, metadata });
    },
    exportSignature: `context_features [C, ${featureWidth}], context_shares [C], target_features [T, ${featureWidth}], target_question int32 [T]`,
    feeds: feedsOf,
  };
}

/** A transformer that is trained as any other, and made of stages so that it can be cut. */
export const staged = definePredictor({
  name: 'staged',
  describe: 'transformer of pre-norm layers in stages, between which it can be cut for sharded training',
  options: stagedOptions,
  create: createStaged,
});
