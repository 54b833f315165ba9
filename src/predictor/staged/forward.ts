import type { Node } from '../../graph/node.ts';
import * as g from '../../graph/ops.ts';
import { attention, type GpoRows } from '../gpo/attention.ts';
import { type GpoOutput, gpoEmbedder, gpoHead } from '../gpo/transformer.ts';
import type { ParameterViews } from '../parameter-views.ts';
import type { StagedOptions } from './options.ts';
import { HEAD_NORM, layerName } from './parameters.ts';

/** Inside the root, where a rotation of x changes nothing. */
const RMS_EPSILON = 1e-5;

/** x / sqrt(mean(x^2) + eps) by row (Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019), without a scale. [n, d] -> [n, d]. */
function rms(x: Node): Node {
  const mean = g.div(g.reduceSum(g.square(x), [1]), g.constant(Number(x.shape[1])));
  return g.div(x, g.sqrt(g.add(mean, g.constant(RMS_EPSILON))));
}

/**
 * One pre-norm layer with explicit matrices before its norms and on its skips (Unextractable Protocol Models, NeurIPS 2025):
 * Z = rms(X N1), Y = MHA(Z) Wo + bo + X S1, X' = relu(rms(Y N2) W1 + b1) W2 + b2 + Y S2. Attention is gpo's, from all rows, or from those of
 * the targets alone, to context rows. x [N, d] -> [N, d] or [T, d].
 */
function stagedLayer(
  x: Node,
  name: string,
  { boundary, contextSize }: GpoRows,
  heads: number,
  parameters: ParameterViews,
  targetsOnly: boolean,
): Node {
  const tensor = (part: string) => parameters.tensor(`${name}.${part}`);
  const asking = (rows: Node) => (targetsOnly ? g.part(rows, boundary, 'tail') : rows);
  const normal = rms(g.gemm(x, tensor('norm1')));
  const mixed = attention(asking(normal), g.part(normal, boundary, 'head'), contextSize, heads, {
    queries: (rows) => g.gemm(rows, tensor('query')),
    keys: (rows) => g.gemm(rows, tensor('key')),
    values: (rows) => g.gemm(rows, tensor('value')),
    commonValue: (rows) => g.gemm(rows, tensor('value')),
  });
  const attended = g.gemm(mixed, tensor('out.weight'), { bias: tensor('out.bias') });
  const y = g.add(attended, g.gemm(asking(x), tensor('skip1')));
  const inside = g.gemm(rms(g.gemm(y, tensor('norm2'))), tensor('linear1.weight'), {
    bias: tensor('linear1.bias'),
  });
  const result = g.gemm(g.relu(inside), tensor('linear2.weight'), { bias: tensor('linear2.bias') });
  return g.add(result, g.gemm(y, tensor('skip2')));
}

/** The front: tokens [N, F + 1] -> [N, d]. */
export function frontForward(tokens: Node, options: StagedOptions, parameters: ParameterViews): Node {
  return gpoEmbedder(tokens, options, parameters);
}

/** A stage, counted from 0: [N, d] -> [N, d]; the last layer of the last one computes the rows of the targets only, [T, d], as nothing reads the others. */
export function stageForward(
  x: Node,
  stage: number,
  rows: GpoRows,
  { stages, layersPerStage, heads }: Pick<StagedOptions, 'stages' | 'layersPerStage' | 'heads'>,
  parameters: ParameterViews,
): Node {
  let hidden = x;
  for (let layer = 0; layer < layersPerStage; layer++) {
    const targetsOnly = stage === stages - 1 && layer === layersPerStage - 1;
    hidden = stagedLayer(hidden, layerName(stage, layer), rows, heads, parameters, targetsOnly);
  }
  return hidden;
}

/** The head: rows of the targets [T, d] to the output of each. */
export function headForward(x: Node, rows: Pick<GpoRows, 'boundary'>, parameters: ParameterViews): GpoOutput {
  return gpoHead(rms(g.gemm(x, parameters.tensor(HEAD_NORM))), rows, parameters);
}

/** All of it in one graph. */
export function stagedTransformer(
  tokens: Node,
  rows: GpoRows,
  options: StagedOptions,
  parameters: ParameterViews,
): GpoOutput {
  let hidden = frontForward(tokens, options, parameters);
  for (let stage = 0; stage < options.stages; stage++) {
    hidden = stageForward(hidden, stage, rows, options, parameters);
  }
  return headForward(hidden, rows, parameters);
}
