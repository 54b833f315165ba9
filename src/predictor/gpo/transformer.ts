import type { Node } from '../../graph/node.ts';
import * as g from '../../graph/ops.ts';
import type { ParameterViews } from '../parameter-views.ts';
import { attention, type GpoRows } from './attention.ts';
import { type GpoOptions, NORM_EPSILON } from './options.ts';

/** Predicted location and log scale of the share of each target point, each [T]. */
export interface GpoOutput {
  readonly location: Node;
  readonly logScale: Node;
}

/** MLP from (feature, share) to a token: linear layers with ReLU between them. tokens [N, F + 1] -> [N, width]. */
export function gpoEmbedder(
  tokens: Node,
  { embedderLayers }: Pick<GpoOptions, 'embedderLayers'>,
  parameters: ParameterViews,
): Node {
  let hidden = tokens;
  for (let layer = 0; layer < embedderLayers; layer++) {
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

/** Attention of a layer whose projections stand below each other in one tensor, as torch has them. */
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
  const result = attention(asking, context, contextSize, heads, {
    queries: (x) => g.linear(x, weight(0), bias(0)),
    keys: (x) => g.gemm(x, weight(1), { transposeB: true }),
    values: (x) => g.gemm(x, weight(2), { transposeB: true }),
    commonValue: (x) => g.linear(x, weight(2), bias(2)),
  });
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

/** Two layers from the rows of the targets [T, width] to the output. */
export function gpoHead(
  hidden: Node,
  { boundary }: Pick<GpoRows, 'boundary'>,
  parameters: ParameterViews,
): GpoOutput {
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

/** The GPO transformer: tokens [N, F + 1] (context rows first, shares of targets zero) to its output. */
export function gpoTransformer(
  tokens: Node,
  rows: GpoRows,
  options: GpoOptions,
  parameters: ParameterViews,
): GpoOutput {
  let hidden = gpoEmbedder(tokens, options, parameters);
  for (let layer = 0; layer < options.layers; layer++) {
    hidden = encode(hidden, layer, rows, options, parameters);
  }
  if (options.norm === 'pre') hidden = norm(hidden, 'encoder.norm', parameters);
  return gpoHead(hidden, rows, parameters);
}
