import { invariant } from '../core/errors.ts';
import type { Node, OpName } from './node.ts';
import * as g from './ops.ts';
import { GRADIENT_RULES, type GradientRule } from './rules.ts';
import { showShape } from './shape.ts';

/** All nodes that an output is computed from, inputs before users. */
export function reachable(outputs: readonly Node[]): Node[] {
  const seen = new Map<number, Node>();
  const waiting = [...outputs];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (seen.has(node.id)) continue;
    seen.set(node.id, node);
    waiting.push(...node.inputs);
  }
  return [...seen.values()].sort((a, b) => a.id - b.id);
}

function applyRule<Op extends OpName>(node: Node<Op>, dy: Node, wanted: (index: number) => boolean) {
  const rule: GradientRule<Op> = GRADIENT_RULES[node.op];
  return rule(node, dy, wanted);
}

/** The sum of two gradients of one node; a product takes the other one along as it is computed. */
function accumulate(a: Node, b: Node): Node {
  const product = [a, b].find((node): node is Node<'gemm'> => node.op === 'gemm' && node.inputs.length === 2);
  if (product === undefined) return g.add(a, b);
  const [left, right] = product.inputs;
  return g.gemm(left!, right!, { ...product.attributes, bias: product === a ? b : a });
}

/**
 * Gradients of a scalar with respect to some nodes, as new nodes of the same graph (reverse mode).
 * Only the nodes on a path from `wrt` to the loss get a gradient. A node the loss does not depend on is INTERNAL.
 */
export function gradients(loss: Node, wrt: readonly Node[]): Node[] {
  invariant(loss.shape.length === 0, `the loss must be a scalar, not ${showShape(loss.shape)}`);
  const order = reachable([loss]);
  const needed = new Set(wrt.map((node) => node.id));
  for (const node of order) {
    if (node.inputs.some((source) => needed.has(source.id))) needed.add(node.id);
  }

  const collected = new Map<number, Node>([[loss.id, g.constant(1)]]);
  for (const node of order.reverse()) {
    const dy = collected.get(node.id);
    if (dy === undefined || !needed.has(node.id) || node.inputs.length === 0) continue;
    const wanted = (index: number) => needed.has(node.inputs[index]!.id);
    applyRule(node, dy, wanted).forEach((gradient, index) => {
      if (gradient === null || !wanted(index)) return;
      const source = node.inputs[index]!;
      const before = collected.get(source.id);
      collected.set(source.id, before === undefined ? gradient : accumulate(before, gradient));
    });
  }
  return wrt.map((node) => {
    const gradient = collected.get(node.id);
    invariant(gradient !== undefined, `the loss does not depend on node ${node.id}`);
    return gradient;
  });
}
