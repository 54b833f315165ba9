import type { Node } from './node.ts';
import * as g from './ops.ts';

/** What of Adam stays the same for a whole run. */
export interface AdamRates {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** Parameters and moments, float [n] each. */
export interface AdamNodes {
  readonly parameters: Node;
  readonly first: Node;
  readonly second: Node;
}

/**
 * One step of Adam (Kingma & Ba, 2015) for graphs whose parameters stay on a device. `figures` [3] are those of the step, worked out
 * outside in float64:  learning rate / (1 - beta1^t),  1 / sqrt(1 - beta2^t),  and what decoupled weight decay leaves of a parameter.
 */
export function adamNodes(
  { parameters, first, second }: AdamNodes,
  gradient: Node,
  figures: Node,
  { beta1, beta2, epsilon }: AdamRates,
): AdamNodes {
  const [stepSize, secondScale, keep] = [0, 1, 2].map((index) => g.slice(figures, 0, index, index + 1));
  const blend = (moment: Node, value: Node, beta: number) =>
    g.add(g.mul(moment, g.constant(beta)), g.mul(value, g.constant(1 - beta)));
  const m = blend(first, gradient, beta1);
  const v = blend(second, g.square(gradient), beta2);
  const change = g.div(g.mul(m, stepSize!), g.add(g.mul(g.sqrt(v), secondScale!), g.constant(epsilon)));
  return { parameters: g.sub(g.mul(parameters, keep!), change), first: m, second: v };
}
