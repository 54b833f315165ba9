import type { Node, OpName } from './node.ts';
import * as g from './ops.ts';
import { sameShape, stretchedAxes } from './shape.ts';

/**
 * Reverse-mode gradient rules. `dy` is the gradient of the loss with respect to the node's output; a rule
 * answers one gradient per input, or null where none flows. The table's type is total: an operator without
 * a rule does not compile. Each rule is checked by finite differences in test/graph/rules.test.ts.
 */
export type GradientRule<Op extends OpName> = (
  node: Node<Op>,
  dy: Node,
  /** Whether anybody asked for the gradient of input i; a rule may skip work where nobody did. */
  wanted: (index: number) => boolean,
) => readonly (Node | null)[];

/** Sums a gradient over the axes that broadcasting had stretched, back to the input's shape. */
function sumTo(gradient: Node, original: Node): Node {
  if (sameShape(gradient.shape, original.shape)) return gradient;
  if (gradient.shape.length === 2 && sameShape(gradient.shape.slice(1), original.shape)) {
    return g.columnSums(gradient);
  }
  const axes = stretchedAxes(gradient.shape, original.shape);
  const summed = axes.length > 0 ? g.reduceSum(gradient, axes) : gradient;
  return sameShape(summed.shape, original.shape) ? summed : g.reshape(summed, original.shape);
}

function swapLastTwo(x: Node): Node {
  const rank = x.shape.length;
  const permutation = x.shape.map((_, axis) => axis);
  permutation[rank - 2] = rank - 1;
  permutation[rank - 1] = rank - 2;
  return g.transpose(x, permutation);
}

function inverse(permutation: readonly number[]): number[] {
  return permutation.map((_, axis) => permutation.indexOf(axis));
}

function boundaryOf(whole: Node, head: Node, tail: Node, split: readonly Node[]): g.Boundary {
  const rows = (node: Node) => String(node.shape[0]);
  const [headCount, afterHead, beforeTail] = split as [Node, Node, Node];
  return { headCount, afterHead, beforeTail, whole: rows(whole), head: rows(head), tail: rows(tail) };
}

const none = () => [];

function gemmRule(node: Node<'gemm'>, dy: Node, wanted: (index: number) => boolean): (Node | null)[] {
  const [a, b, bias] = node.inputs as [Node, Node, Node?];
  const { transposeA, transposeB } = node.attributes;
  // Y = A' B' with A' = op(A), B' = op(B):  dA' = dY B'^T,  dB' = A'^T dY; transposed again where op transposes.
  const da = () =>
    transposeA
      ? g.gemm(b, dy, { transposeA: transposeB, transposeB: true })
      : g.gemm(dy, b, { transposeB: !transposeB });
  const db = () =>
    transposeB
      ? g.gemm(dy, a, { transposeA: true, transposeB: transposeA })
      : g.gemm(a, dy, { transposeA: !transposeA });
  return [wanted(0) ? da() : null, wanted(1) ? db() : null, bias && wanted(2) ? sumTo(dy, bias) : null];
}

/** x̂ = (x - mean) r, r = 1 / sqrt(var + eps):  dx = r (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)). */
function standardiseRule(x: Node, normal: Node, epsilon: number, dNormal: Node): Node {
  const last = x.shape.length - 1;
  const width = x.shape[last];
  const mean = (v: Node) => g.div(g.reduceSum(v, [last]), g.constant(Number(width)));
  const centred = g.sub(g.sub(dNormal, mean(dNormal)), g.mul(normal, mean(g.mul(dNormal, normal))));
  return g.mul(g.inverseStd(x, epsilon), centred);
}

/**
 * y = x̂ scale + bias:  dscale = sum(dy x̂), dbias = sum(dy), and dx as above with dx̂ = dy scale, whose two means are products of
 * a matrix with scale / width: three passes over the rows fewer.
 */
function layerNormRule(node: Node<'layerNorm'>, dy: Node): (Node | null)[] {
  const [x, scale, bias] = node.inputs as [Node, Node, Node];
  const { epsilon } = node.attributes;
  const width = Number(scale.shape[0]);
  const normal = g.standardise(x, epsilon);
  const slope = g.mul(dy, normal);
  const share = g.reshape(g.mul(scale, g.constant(1 / width)), [width, 1]);
  const mean = (v: Node) => g.gemm(v, share);
  const centred = g.sub(g.sub(g.mul(dy, scale), mean(dy)), g.mul(normal, mean(slope)));
  return [g.mul(g.inverseStd(x, epsilon), centred), sumTo(slope, scale), sumTo(dy, bias)];
}

/**
 * O = P V with P = softmax(S):  dV = P^T dO, dS = P (dP - sum(dP P)) with dP = dO V^T. Row for row sum(dP P) = sum(dO O), which is
 * as wide as the values instead of as the scores (Dao et al., "FlashAttention", NeurIPS 2022, appendix B).
 */
function mixRule(node: Node<'mix'>, dy: Node, wanted: (index: number) => boolean): (Node | null)[] {
  const [, values, weights] = node.inputs as [Node, Node, Node];
  const last = node.shape.length - 1;
  const scores = () => {
    const dWeights = g.matmul(dy, swapLastTwo(values));
    return g.mul(weights, g.sub(dWeights, g.reduceSum(g.mul(dy, node), [last])));
  };
  return [
    wanted(0) ? scores() : null,
    wanted(1) ? g.matmul(swapLastTwo(weights), dy) : null,
    // The scores' gradient has what flows through the weights.
    null,
  ];
}

export const GRADIENT_RULES: { readonly [Op in OpName]: GradientRule<Op> } = {
  input: none,
  constant: none,
  // d(a + b) = da + db
  add: ({ inputs: [a, b] }, dy) => [sumTo(dy, a!), sumTo(dy, b!)],
  // d(a - b) = da - db
  sub: ({ inputs: [a, b] }, dy) => [sumTo(dy, a!), sumTo(g.neg(dy), b!)],
  // d(a b) = b da + a db
  mul: ({ inputs: [a, b] }, dy, wanted) => [
    wanted(0) ? sumTo(g.mul(dy, b!), a!) : null,
    wanted(1) ? sumTo(g.mul(dy, a!), b!) : null,
  ],
  // d(a / b) = da / b - (a / b) db / b
  div: (node, dy, wanted) => {
    const [a, b] = node.inputs as [Node, Node];
    const scaled = g.div(dy, b);
    return [sumTo(scaled, a), wanted(1) ? sumTo(g.neg(g.mul(scaled, node)), b) : null];
  },
  neg: (_, dy) => [g.neg(dy)],
  // d(e^x) = e^x dx
  exp: (node, dy) => [g.mul(dy, node)],
  // d(ln x) = dx / x
  log: ({ inputs: [x] }, dy) => [g.div(dy, x!)],
  // d(sqrt x) = dx / (2 sqrt x)
  sqrt: (node, dy) => [g.div(g.mul(dy, g.constant(0.5)), node)],
  // 0 at x = 0, as torch has it
  relu: (node, dy) => [g.gate(dy, node)],
  gate: ({ inputs: [, y] }, dy) => [g.gate(dy, y!), null],
  step: none,
  gemm: gemmRule,
  // Y = A B:  dA = dY B^T,  dB = A^T dY
  matmul: ({ inputs: [a, b] }, dy, wanted) => [
    wanted(0) ? g.matmul(dy, swapLastTwo(b!)) : null,
    wanted(1) ? g.matmul(swapLastTwo(a!), dy) : null,
  ],
  mix: mixRule,
  transpose: ({ attributes }, dy) => [g.transpose(dy, inverse(attributes.permutation))],
  reshape: ({ inputs: [x] }, dy) => [g.reshape(dy, x!.shape)],
  slice: ({ inputs: [x], attributes: { axis, start, end } }, dy) => [
    g.pad(dy, axis, start, Number(x!.shape[axis]) - end),
  ],
  pad: ({ inputs: [x], attributes: { axis, before } }, dy) => [
    g.slice(dy, axis, before, before + Number(x!.shape[axis])),
  ],
  part: (node, dy) => [g.unpart(dy, node)],
  unpart: (node, dy) => {
    const [x, ...split] = node.inputs as [Node, ...Node[]];
    return [g.part(dy, boundaryOf(node, x, x, split), node.attributes.side)];
  },
  join: (node, dy) => {
    const [head, tail, ...split] = node.inputs as [Node, Node, ...Node[]];
    const boundary = boundaryOf(node, head, tail, split);
    return [g.part(dy, boundary, 'head'), g.part(dy, boundary, 'tail')];
  },
  // each row of the table gets the gradients of all its copies
  gatherRows: ({ inputs: [table, rows] }, dy, wanted) => [
    wanted(0) ? g.scatterRows(dy, rows!, Number(table!.shape[0])) : null,
    null,
  ],
  scatterRows: ({ inputs: [, rows] }, dy) => [g.gatherRows(dy, rows!), null],
  rowCount: none,
  concat: ({ inputs, attributes: { axis } }, dy) => {
    let start = 0;
    return inputs.map((x) => {
      const end = start + Number(x.shape[axis]);
      const gradient = g.slice(dy, axis, start, end);
      start = end;
      return gradient;
    });
  },
  // each summand gets the whole gradient
  reduceSum: ({ inputs: [x] }, dy) => [g.stretch(dy, x!)],
  // each element of a column gets the gradient of its sum
  columnSums: ({ inputs: [x] }, dy) => [g.stretch(g.reshape(dy, [1, x!.shape[1]!]), x!)],
  stretch: ({ inputs: [x] }, dy) => [sumTo(dy, x!)],
  // the gradient goes to the largest element; equal maxima each get it (torch splits it: use detach on ties)
  reduceMax: (node, dy) => {
    const x = node.inputs[0]!;
    return [g.mul(dy, g.sub(g.constant(1), g.step(g.sub(node, x))))];
  },
  // p = softmax(x):  dx = p (dp - sum(dp p)); subtracting before multiplying loses fewer digits
  softmax: (node, dy) => {
    const last = node.shape.length - 1;
    return [g.mul(node, g.sub(dy, g.reduceSum(g.mul(dy, node), [last])))];
  },
  layerNorm: layerNormRule,
  standardise: (node, dy) => [standardiseRule(node.inputs[0]!, node, node.attributes.epsilon, dy)],
  // r = (var + eps)^(-1/2):  dr/dx_i = -r^2 x̂_i / n
  inverseStd: (node, dy) => {
    const x = node.inputs[0]!;
    const width = Number(x.shape[x.shape.length - 1]);
    const slope = g.mul(g.square(node), g.standardise(x, node.attributes.epsilon));
    return [g.div(g.neg(g.mul(dy, slope)), g.constant(width))];
  },
  equal: none,
  toFloat: none,
  toHalf: none,
  detach: none,
};
