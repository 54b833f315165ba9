import type { Node } from '../../src/graph/node.ts';
import * as g from '../../src/graph/ops.ts';
import type { GpoInputs } from '../../src/predictor/gpo/inputs.ts';
import { type GpoOptions, NORM_EPSILON } from '../../src/predictor/gpo/options.ts';
import type { GpoOutput } from '../../src/predictor/gpo/transformer.ts';

/** Below every score, yet finite: its softmax is exactly 0. */
const HIDDEN = -1e9;

/** Reads a tensor of the predictor's layout. */
export type Tensor = (name: string) => Node;

/**
 * The GPO transformer as the paper has it, with nothing saved: every row has keys and values, all layers run for all rows, and a mask
 * hides the targets. The oracle for the product's graph, which computes none of what this one throws away.
 *
 * `hidden` [1, N] is 1 at targets, else 0.
 */
export function denseTransformer(
  { tokens }: Pick<GpoInputs, 'tokens'>,
  hidden: Node,
  boundary: g.Boundary,
  options: GpoOptions,
  tensor: Tensor,
): GpoOutput {
  const { width, heads } = options;
  const linear = (x: Node, name: string) => g.linear(x, tensor(`${name}.weight`), tensor(`${name}.bias`));
  const norm = (x: Node, name: string) =>
    g.layerNorm(x, tensor(`${name}.weight`), tensor(`${name}.bias`), NORM_EPSILON);
  const mask = g.mul(hidden, g.constant(HIDDEN));

  function attend(x: Node, layer: string): Node {
    const rows = x.shape[0]!;
    const weight = tensor(`${layer}.self_attn.in_proj_weight`);
    const bias = tensor(`${layer}.self_attn.in_proj_bias`);
    const projected = g.linear(x, weight, bias);
    const part = (index: number) =>
      g.reshape(g.slice(projected, 1, index * width, (index + 1) * width), [rows, heads, width / heads]);
    const scale = g.constant(1 / Math.sqrt(width / heads));
    const scores = g.matmul(g.mul(g.transpose(part(0), [1, 0, 2]), scale), g.transpose(part(1), [1, 2, 0]));
    const weights = g.softmax(g.add(scores, mask));
    const mixed = g.matmul(weights, g.transpose(part(2), [1, 0, 2]));
    return linear(g.reshape(g.transpose(mixed, [1, 0, 2]), [rows, width]), `${layer}.self_attn.out_proj`);
  }

  const feedForward = (x: Node, layer: string) =>
    linear(g.relu(linear(x, `${layer}.linear1`)), `${layer}.linear2`);

  let x = tokens;
  for (let i = 0; i < options.embedderLayers; i++) x = linear(i === 0 ? x : g.relu(x), `embedder.${2 * i}`);
  for (let i = 0; i < options.layers; i++) {
    const layer = `encoder.layers.${i}`;
    if (options.norm === 'post') {
      x = norm(g.add(x, attend(x, layer)), `${layer}.norm1`);
      x = norm(g.add(x, feedForward(x, layer)), `${layer}.norm2`);
    } else {
      x = g.add(x, attend(norm(x, `${layer}.norm1`), layer));
      x = g.add(x, feedForward(norm(x, `${layer}.norm2`), layer));
    }
  }
  if (options.norm === 'pre') x = norm(x, 'encoder.norm');
  const output = linear(g.relu(linear(g.part(x, boundary, 'tail'), 'predictor.0')), 'predictor.2');
  const column = (index: number) => g.reshape(g.slice(output, 1, index, index + 1), [boundary.tail]);
  return { location: column(0), logScale: column(1) };
}
