import type { Node } from '../../graph/node.ts';
import * as g from '../../graph/ops.ts';
import type { ParameterViews } from '../parameter-views.ts';
import { type GpoOptions, NORM_EPSILON } from './options.ts';

/** Predicted location and log scale of the share of each target point, each [T]. */
export interface GpoOutput {
  readonly location: Node;
  readonly logScale: Node;
}

/** MLP from (feature, share) to a token: linear layers with ReLU between them. */
function embed(tokens: Node, options: GpoOptions, parameters: ParameterViews): Node {
  let hidden = tokens;
  for (let layer = 0; layer < options.embedderLayers; layer++) {
    hidden = linear(layer === 0 ? hidden : g.relu(hidden), `embedder.${2 * layer}`, parameters);
  }
  return hidden;
}

function linear(x: Node, name: string, parameters: ParameterViews): Node {
  return g.linear(x, parameters.tensor(`${name}.weight`), parameters.tensor(`${name}.bias`));
}

function norm(x: Node, name: string, parameters: ParameterViews): Node {
  return g.layerNorm(x, parameters.tensor(`${name}.weight`), parameters.tensor(`${name}.bias`), NORM_EPSILON);
}

/** The rows of a transformer: where the context ends, and how many rows it has, as float [1]. */
export interface GpoRows {
  readonly boundary: g.Boundary;
  readonly contextSize: Node;
}

/** Mean over the context rows, as a constant: [1, d]. */
function commonPart(x: Node, contextSize: Node): Node {
  const sums = g.reshape(g.columnSums(x), [1, x.shape[1]!]);
  return g.detach(g.div(sums, contextSize));
}

/**
 * Multi-head attention from every asking row to the context rows only: targets see neither each other nor
 * themselves, so a group's predictions for all its questions come out of one forward pass.
 * asking [R, d], context [C, d] -> [R, d].
 *
 * What all context rows have in common is taken off them first and its value added to the result. Attention does not change: it shifts
 * all scores of a query alike, and the weights of a row sum to 1. For the same reasons no gradient flows through it, nor to the bias
 * of the keys; and the backward pass does not lose its digits to the common part.
 */
function attend(
  asking: Node,
  context: Node,
  contextSize: Node,
  layer: string,
  options: GpoOptions,
  parameters: ParameterViews,
): Node {
  const { width, heads } = options;
  const rows = (index: number) => [index * width, (index + 1) * width] as const;
  const weight = (index: number) => parameters.tensor(`${layer}.self_attn.in_proj_weight`, rows(index));
  const bias = (index: number) => parameters.tensor(`${layer}.self_attn.in_proj_bias`, rows(index));
  parameters.frozen(`${layer}.self_attn.in_proj_bias`, rows(1));
  const split = (x: Node) => g.reshape(x, [x.shape[0]!, heads, width / heads]);
  const scale = g.constant(1 / Math.sqrt(width / heads));
  const queries = g.mul(g.transpose(split(g.linear(asking, weight(0), bias(0))), [1, 0, 2]), scale);
  const common = commonPart(context, contextSize);
  const own = g.sub(context, common);
  const keys = g.transpose(split(g.gemm(own, weight(1), { transposeB: true })), [1, 2, 0]);
  const values = g.transpose(split(g.gemm(own, weight(2), { transposeB: true })), [1, 0, 2]);
  const mixed = g.transpose(g.mix(g.matmul(queries, keys), values), [1, 0, 2]);
  const commonValue = g.linear(common, weight(2), bias(2));
  const result = g.add(g.reshape(mixed, [asking.shape[0]!, width]), commonValue);
  return linear(result, `${layer}.self_attn.out_proj`, parameters);
}

function feedForward(x: Node, layer: string, parameters: ParameterViews): Node {
  return linear(g.relu(linear(x, `${layer}.linear1`, parameters)), `${layer}.linear2`, parameters);
}

/** One encoder layer; the last one computes the target rows only, as nothing reads its context rows. */
function encode(
  hidden: Node,
  index: number,
  { boundary, contextSize }: GpoRows,
  options: GpoOptions,
  parameters: ParameterViews,
): Node {
  const layer = `encoder.layers.${index}`;
  const isLast = index === options.layers - 1;
  const askingRows = (x: Node) => (isLast ? g.part(x, boundary, 'tail') : x);
  const attention = (x: Node) =>
    attend(askingRows(x), g.part(x, boundary, 'head'), contextSize, layer, options, parameters);

  if (options.norm === 'post') {
    const mixed = norm(g.add(askingRows(hidden), attention(hidden)), `${layer}.norm1`, parameters);
    return norm(g.add(mixed, feedForward(mixed, layer, parameters)), `${layer}.norm2`, parameters);
  }
  const normal = norm(hidden, `${layer}.norm1`, parameters);
  const mixed = g.add(askingRows(hidden), attention(normal));
  return g.add(mixed, feedForward(norm(mixed, `${layer}.norm2`, parameters), layer, parameters));
}

/** The GPO transformer: tokens [N, F + 1] (context rows first, shares of targets zero) to its output. */
export function gpoTransformer(
  tokens: Node,
  rows: GpoRows,
  options: GpoOptions,
  parameters: ParameterViews,
): GpoOutput {
  let hidden = embed(tokens, options, parameters);
  for (let layer = 0; layer < options.layers; layer++) {
    hidden = encode(hidden, layer, rows, options, parameters);
  }
  if (options.norm === 'pre') hidden = norm(hidden, 'encoder.norm', parameters);
  const features = g.relu(linear(hidden, 'predictor.0', parameters));
  // The bias of the location shifts all options of a question alike, which softmax does not see.
  const biases = [
    parameters.frozen('predictor.2.bias', [0, 1]),
    parameters.tensor('predictor.2.bias', [1, 2]),
  ];
  const output = g.linear(features, parameters.tensor('predictor.2.weight'), g.concat(biases, 0));
  const column = (index: number) => g.reshape(g.slice(output, 1, index, index + 1), [rows.boundary.tail]);
  return { location: column(0), logScale: column(1) };
}
