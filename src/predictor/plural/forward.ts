import type { Node } from '../../graph/node.ts';
import * as g from '../../graph/ops.ts';
import type { AnswerInputs } from '../answers.ts';
import { fitVector } from '../factor/newton.ts';
import { ROWS, type TokenInputs } from '../gpo/inputs.ts';
import { gpoTransformer } from '../gpo/transformer.ts';
import type { ParameterViews } from '../parameter-views.ts';
import { type QuestionSoftmax, questionSoftmax } from '../question-softmax.ts';
import { type PluralOptions, transformerOptions } from './options.ts';
import { itemLayer, itemSize, TENSORS } from './parameters.ts';

/** What the features of each point say of its bias and factors in a member's network, [N, F] -> [N, 1 + k]. */
function readItems(
  features: Node,
  member: number,
  { itemLayers }: PluralOptions,
  parameters: ParameterViews,
): Node {
  const tensor = (layer: number, part: 'weight' | 'bias') =>
    parameters.tensor(itemLayer(member, layer, part));
  let hidden = features;
  for (let layer = 0; layer < itemLayers; layer++) {
    hidden = g.relu(g.linear(hidden, tensor(layer, 'weight'), tensor(layer, 'bias')));
  }
  return g.gemm(hidden, tensor(itemLayers, 'weight'), { transposeB: true });
}

/** Bias [n, 1] and factors [n, k] of items [n, 1 + k]. */
function split(items: Node, rank: number) {
  return { bias: g.slice(items, 1, 0, 1), factors: g.slice(items, 1, 1, 1 + rank) };
}

/** Shares of the targets in the eyes of one member: with what is remembered of them, and as if nobody had been asked them. */
export interface MemberOutput {
  readonly remembered: QuestionSoftmax;
  readonly unasked: QuestionSoftmax;
}

/**
 * An item is what its features say plus what is remembered of it, which for questions that nobody was asked is nothing. The group's vector is fitted to
 * its context, for each member its own; `memory` is stored divided by `memoryScale`; where there is a transformer, what it says of a target is added to
 * the target's score.
 */
export function pluralForward(
  inputs: TokenInputs & AnswerInputs,
  memory: Node,
  options: PluralOptions,
  parameters: ParameterViews,
): readonly MemberOutput[] {
  const { tokens, boundary, contextSize, questions, rows, contextQuestions, contextShares } = inputs;
  if (options.leastGroups !== null) parameters.frozen(TENSORS.counts);
  const transformer = transformerOptions(options);
  const read =
    transformer === null
      ? null
      : gpoTransformer(tokens, { boundary, contextSize }, transformer, parameters).location;
  const features = g.slice(tokens, 1, 0, Number(tokens.shape[1]) - 1);
  const scale = g.constant(options.memoryScale);
  const recalled = (at: Node) => g.mul(g.gatherRows(memory, at), scale);
  const [ofContext, ofTarget] = [recalled(rows.context), recalled(rows.target)];
  const shares = g.reshape(contextShares, [ROWS.head, 1]);

  return Array.from({ length: options.members }, (_, member) => {
    const size = itemSize(options);
    const own = (recall: Node) => g.slice(recall, 1, member * size, (member + 1) * size);
    const said = readItems(features, member, options, parameters);
    const target = g.part(said, boundary, 'tail');
    const context = split(g.add(g.part(said, boundary, 'head'), own(ofContext)), options.rank);
    const weight = g.constant([options.evidence], [1]);
    const vector = fitVector(
      { ...context, shares, questions: contextQuestions, weight },
      options.newtonSteps,
    );
    const predict = (items: Node) => {
      const { bias, factors } = split(items, options.rank);
      const scores = g.reshape(g.add(bias, g.gemm(factors, vector)), [ROWS.tail]);
      return questionSoftmax(read === null ? scores : g.add(scores, read), questions);
    };
    return { remembered: predict(g.add(target, own(ofTarget))), unasked: predict(target) };
  });
}
