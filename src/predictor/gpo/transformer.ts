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

/**
 * Mean over the context rows, as a constant: [1, ...]. Attention does not change when it is taken off the keys,
 * nor when it is taken off the values and added to the result (the weights of a row sum to 1), and the backward
 * pass then no longer loses its digits to what all context rows have in common.
 */
function commonPart(x: Node, boundary: g.Boundary): Node {
  const count = g.toFloat(boundary.headCount);
  return g.detach(g.div(g.reduceSum(x, [0]), g.reshape(count, [1, 1, 1])));
}

/**
 * Multi-head attention from every asking row to the context rows only: targets see neither each other nor
 * themselves, so a group's predictions for all its questions come out of one forward pass.
 * asking [R, d], context [C, d] -> [R, d].
 */
function attend(
  asking: Node,
  context: Node,
  boundary: g.Boundary,
  layer: string,
  options: GpoOptions,
  parameters: ParameterViews,
): Node {
  const { width, heads } = options;
  const headWidth = width / heads;
  const project = (x: Node, index: number) => {
    const rows = [index * width, (index + 1) * width] as const;
    const weight = parameters.tensor(`${layer}.self_attn.in_proj_weight`, rows);
    // The bias of the keys shifts all scores of a query alike, which softmax does not see.
    const bias =
      index === 1
        ? parameters.frozen(`${layer}.self_attn.in_proj_bias`, rows)
        : parameters.tensor(`${layer}.self_attn.in_proj_bias`, rows);
    return g.reshape(g.linear(x, weight, bias), [x.shape[0]!, heads, headWidth]);
  };
  const scale = g.constant(1 / Math.sqrt(headWidth));
  const queries = g.mul(g.transpose(project(asking, 0), [1, 0, 2]), scale);
  const keys = project(context, 1);
  const values = project(context, 2);
  const commonValue = commonPart(values, boundary);
  const ownKeys = g.transpose(g.sub(keys, commonPart(keys, boundary)), [1, 2, 0]);
  const ownValues = g.transpose(g.sub(values, commonValue), [1, 0, 2]);
  const weights = g.softmax(g.matmul(queries, ownKeys));
  const mixed = g.add(g.transpose(g.matmul(weights, ownValues), [1, 0, 2]), commonValue);
  return linear(g.reshape(mixed, [asking.shape[0]!, width]), `${layer}.self_attn.out_proj`, parameters);
}

function feedForward(x: Node, layer: string, parameters: ParameterViews): Node {
  return linear(g.relu(linear(x, `${layer}.linear1`, parameters)), `${layer}.linear2`, parameters);
}

/** One encoder layer; the last one computes the target rows only, as nothing reads its context rows. */
function encode(
  hidden: Node,
  index: number,
  boundary: g.Boundary,
  options: GpoOptions,
  parameters: ParameterViews,
): Node {
  const layer = `encoder.layers.${index}`;
  const isLast = index === options.layers - 1;
  const askingRows = (x: Node) => (isLast ? g.part(x, boundary, 'tail') : x);
  const attention = (x: Node) =>
    attend(askingRows(x), g.part(x, boundary, 'head'), boundary, layer, options, parameters);

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
  boundary: g.Boundary,
  options: GpoOptions,
  parameters: ParameterViews,
): GpoOutput {
  let hidden = embed(tokens, options, parameters);
  for (let layer = 0; layer < options.layers; layer++) {
    hidden = encode(hidden, layer, boundary, options, parameters);
  }
  if (options.norm === 'pre') hidden = norm(hidden, 'encoder.norm', parameters);
  const features = g.relu(linear(hidden, 'predictor.0', parameters));
  // The bias of the location shifts all options of a question alike, which softmax does not see.
  const biases = [
    parameters.frozen('predictor.2.bias', [0, 1]),
    parameters.tensor('predictor.2.bias', [1, 2]),
  ];
  const output = g.linear(features, parameters.tensor('predictor.2.weight'), g.concat(biases, 0));
  const column = (index: number) => g.reshape(g.slice(output, 1, index, index + 1), [boundary.tail]);
  return { location: column(0), logScale: column(1) };
}
