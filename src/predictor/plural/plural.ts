import { emitOnnx } from '../../graph/emit.ts';
import type { Node } from '../../graph/node.ts';
import * as g from '../../graph/ops.ts';
import { answerFeeds, answerInputs } from '../answers.ts';
import { gpoInputs, standaloneInputs, feedsOf as tokenFeeds } from '../gpo/inputs.ts';
import { checkHeads } from '../gpo/options.ts';
import { graphsOf } from '../graphs.ts';
import { klLoss } from '../kl-loss.ts';
import { ParameterViews } from '../parameter-views.ts';
import {
  definePredictor,
  type FeatureSource,
  GRAPH_NAMES,
  type PredictorShape,
  type TrainablePredictor,
} from '../predictor.ts';
import { type MemberOutput, pluralForward } from './forward.ts';
import { type PluralOptions, pluralOptions, transformerOptions } from './options.ts';
import { initialisePlural, pluralLayout, TENSORS } from './parameters.ts';

/** The part of the graph that training and prediction have in common. */
function forward(
  options: PluralOptions,
  featureWidth: number,
  parameters: ParameterViews,
  source: FeatureSource,
) {
  const inputs = { ...gpoInputs(featureWidth, source), ...answerInputs() };
  return { inputs, members: pluralForward(inputs, parameters.tensor(TENSORS.memory), options, parameters) };
}

function mean(nodes: readonly Node[]): Node {
  return g.div(nodes.reduce(g.add), g.constant(nodes.length));
}

/** What the members predict on average: [T]. */
function meanShares(members: readonly MemberOutput[]): Node {
  return mean(members.map(({ remembered }) => remembered.probabilities));
}

/** The same with separate inputs, for use without our code. The memory has one row more, of nothing: that of every question that is not in the survey. */
function standaloneForward(options: PluralOptions, featureWidth: number, parameters: ParameterViews): Node {
  const memory = g.pad(parameters.tensor(TENSORS.memory), 0, 0, 1);
  const inputs = { ...answerInputs(), ...standaloneInputs(featureWidth) };
  return meanShares(pluralForward(inputs, memory, options, parameters));
}

function createPlural(options: PluralOptions, shape: PredictorShape): TrainablePredictor {
  const { featureWidth, rows } = shape;
  const transformer = transformerOptions(options);
  if (transformer !== null) checkHeads(transformer);
  const layout = pluralLayout(options, shape);
  return {
    name: 'plural',
    options,
    featureWidth,
    layout,
    initialise: (streamOf) => initialisePlural(options, shape, layout, streamOf),
    ...graphsOf({
      name: 'plural',
      layout,
      loss: (parameters, source) => {
        const { inputs, members } = forward(options, featureWidth, parameters, source);
        const weight = g.constant(options.unseenWeight);
        const lossOf = ({ remembered, unasked }: MemberOutput) =>
          g.add(klLoss(inputs.targetShares, remembered), g.mul(weight, klLoss(inputs.targetShares, unasked)));
        // Each is trained on its own prediction, not on the mean: what they get wrong then differs, and the mean is better than they are.
        return mean(members.map(lossOf));
      },
      predictions: (parameters, source) => {
        const { members } = forward(options, featureWidth, parameters, source);
        return { [GRAPH_NAMES.probabilities]: meanShares(members) };
      },
    }),
    exportGraph: (values, metadata) => {
      const probabilities = standaloneForward(options, featureWidth, new ParameterViews(layout));
      const stored = { [GRAPH_NAMES.parameters]: values };
      return emitOnnx({ [GRAPH_NAMES.probabilities]: probabilities }, { name: 'plural', stored, metadata });
    },
    exportSignature: `context_features [C, ${featureWidth}], context_rows int32 [C], context_question int32 [C], context_shares [C], target_features [T, ${featureWidth}], target_rows int32 [T], target_question int32 [T]; rows count the answer options of the survey, question by question, from 0, and ${rows} is an option of any other question`,
    feeds: (batch, source, scratch) => ({ ...tokenFeeds(batch, source, scratch), ...answerFeeds(batch) }),
  };
}

/** Features and memory in one: a network says what it expects of an item, and a memory corrects that where groups have answered. */
export const plural = definePredictor({
  name: 'plural',
  describe:
    'item memory on top of what a network reads off the features: for questions that were asked, and for new ones',
  options: pluralOptions,
  create: createPlural,
});
