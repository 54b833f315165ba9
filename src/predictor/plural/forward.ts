import type { Node } from '../../graph/node.ts';
import * as g from '../../graph/ops.ts';
import type { AnswerInputs } from '../answers.ts';
import { fitVector } from '../factor/newton.ts';
import { ROWS, type TokenInputs } from '../gpo/inputs.ts';
import { gpoTransformer } from '../gpo/transformer.ts';
import type { ParameterViews } from '../parameter-views.ts';
import { type QuestionSoftmax, questionSoftmax } from '../question-softmax.ts';
import { type PluralOptions, transformerOptions } from './options.ts';
import { itemLayer, TENSORS } from './parameters.ts';

/** What the features of each point say of its bias and factors, [N, F] -> [N, 1 + k]. */
function readItems(features: Node, { itemLayers }: PluralOptions, parameters: ParameterViews): Node {
  const weight = (layer: number) => parameters.tensor(itemLayer(layer, 'weight'));
  let hidden = features;
  for (let layer = 0; layer < itemLayers; layer++) {
    hidden = g.relu(g.linear(hidden, weight(layer), parameters.tensor(itemLayer(layer, 'bias'))));
  }
  return g.gemm(hidden, weight(itemLayers), { transposeB: true });
}

/** Bias [n, 1] and factors [n, k] of items [n, 1 + k]. */
function split(items: Node, rank: number) {
  return { bias: g.slice(items, 1, 0, 1), factors: g.slice(items, 1, 1, 1 + rank) };
}

/** Shares of the targets, with what is remembered of them, and as if nobody had been asked them. */
export interface PluralOutput {
  readonly remembered: QuestionSoftmax;
  readonly unasked: QuestionSoftmax;
}

/**
 * An item is what its features say plus what is remembered of it, which for questions that nobody was asked is nothing. The group's vector is fitted to
 * its context; `memory` is stored divided by `memoryScale`; where there is a transformer, what it says of a target is added to the target's score.
 */
export function pluralForward(
  {
    tokens,
    boundary,
    contextSize,
    questions,
    rows,
    contextQuestions,
    contextShares,
  }: TokenInputs & AnswerInputs,
  memory: Node,
  options: PluralOptions,
  parameters: ParameterViews,
): PluralOutput {
  if (options.leastGroups !== null) parameters.frozen(TENSORS.counts);
  const { rank, newtonSteps } = options;
  const featureWidth = Number(tokens.shape[1]) - 1;
  const said = readItems(g.slice(tokens, 1, 0, featureWidth), options, parameters);
  const target = g.part(said, boundary, 'tail');
  const scale = g.constant(options.memoryScale);
  const recall = (said: Node, at: Node) => g.add(said, g.mul(g.gatherRows(memory, at), scale));
  const vector = fitVector(
    {
      ...split(recall(g.part(said, boundary, 'head'), rows.context), rank),
      shares: g.reshape(contextShares, [ROWS.head, 1]),
      questions: contextQuestions,
      weight: g.exp(parameters.tensor(TENSORS.evidence)),
    },
    newtonSteps,
  );
  const transformer = transformerOptions(options);
  const read =
    transformer === null
      ? null
      : gpoTransformer(tokens, { boundary, contextSize }, transformer, parameters).location;
  const predict = (items: Node) => {
    const { bias, factors } = split(items, rank);
    const scores = g.reshape(g.add(bias, g.gemm(factors, vector)), [ROWS.tail]);
    return questionSoftmax(read === null ? scores : g.add(scores, read), questions);
  };
  return { remembered: predict(recall(target, rows.target)), unasked: predict(target) };
}
