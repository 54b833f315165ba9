import type { Node } from '../../graph/node.ts';
import * as g from '../../graph/ops.ts';

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

/** How rows become queries, keys and values, [n, d] -> [n, d] each, and the value of what all context rows have in common. */
export interface Projections {
  queries(x: Node): Node;
  keys(x: Node): Node;
  values(x: Node): Node;
  /** With the bias of the values, where they have one. */
  commonValue(x: Node): Node;
}

/**
 * Multi-head attention from every asking row to the context rows only: targets see neither each other nor
 * themselves, so a group's predictions for all its questions come out of one forward pass.
 * asking [R, d], context [C, d] -> [R, d]; an output projection is the caller's.
 *
 * What all context rows have in common is taken off them first and its value added to the result. Attention does not change: it shifts
 * all scores of a query alike, and the weights of a row sum to 1. For the same reasons no gradient flows through it, nor to the bias
 * of the keys; and the backward pass does not lose its digits to the common part.
 */
export function attention(
  asking: Node,
  context: Node,
  contextSize: Node,
  heads: number,
  project: Projections,
): Node {
  const width = Number(asking.shape[1]);
  const split = (x: Node) => g.reshape(x, [x.shape[0]!, heads, width / heads]);
  const scale = g.constant(1 / Math.sqrt(width / heads));
  const queries = g.mul(g.transpose(split(project.queries(asking)), [1, 0, 2]), scale);
  const common = commonPart(context, contextSize);
  const own = g.sub(context, common);
  const keys = g.transpose(split(project.keys(own)), [1, 2, 0]);
  const values = g.transpose(split(project.values(own)), [1, 0, 2]);
  const mixed = g.transpose(g.mix(g.matmul(queries, keys), values), [1, 0, 2]);
  const commonValue = project.commonValue(common);
  return g.add(g.reshape(mixed, [asking.shape[0]!, width]), commonValue);
}
