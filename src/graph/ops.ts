import { invariant } from '../core/errors.ts';
import type { Dim, ElementType, Node, Operators, OpName, Shape, Side } from './node.ts';
import { broadcastShape, sameShape, showShape } from './shape.ts';

/** Constructors of nodes: each checks its inputs' shapes and computes its own. Misuse is INTERNAL. */

let created = 0;

function make<Op extends OpName>(
  op: Op,
  inputs: readonly Node[],
  attributes: Operators[Op],
  shape: Shape,
  type: ElementType = 'float',
): Node<Op> {
  return { id: created++, op, attributes, inputs, shape, type };
}

/** A tensor that is fed when the graph runs. */
export function input(name: string, shape: Shape, type: ElementType = 'float'): Node {
  return make('input', [], { name }, shape, type);
}

/** A fixed tensor; without a shape, a scalar. */
export function constant(values: number | readonly number[], shape?: Shape): Node {
  const list = typeof values === 'number' ? [values] : values;
  return make('constant', [], { values: list }, shape ?? (typeof values === 'number' ? [] : [list.length]));
}

/** Fixed indices, int32 [n]. */
export function indices(values: readonly number[]): Node {
  return make('constant', [], { values }, [values.length], 'int32');
}

/** A fixed count, int64 [1]. */
export function integer(value: number): Node {
  return make('constant', [], { values: [value] }, [1], 'int64');
}

const binary =
  (op: 'add' | 'sub' | 'mul' | 'div') =>
  (a: Node, b: Node): Node =>
    make(op, [a, b], {}, broadcastShape(a.shape, b.shape));

/** a + b, broadcast. */
export const add = binary('add');
/** a - b, broadcast. */
export const sub = binary('sub');
/** a * b by element, broadcast. */
export const mul = binary('mul');
/** a / b by element, broadcast. */
export const div = binary('div');

const unary =
  (op: 'neg' | 'exp' | 'log' | 'sqrt' | 'relu' | 'step' | 'detach' | 'softmax') =>
  (x: Node): Node =>
    make(op, [x], {}, x.shape);

/** -x. */
export const neg = unary('neg');
/** e^x. */
export const exp = unary('exp');
/** Natural logarithm. */
export const log = unary('log');
/** Square root. */
export const sqrt = unary('sqrt');
/** max(x, 0). */
export const relu = unary('relu');
/** 1 where x > 0, else 0. */
export const step = unary('step');
/** x, with no gradient. */
export const detach = unary('detach');
/** Softmax over the last axis. */
export const softmax = unary('softmax');

/** dy where y > 0, else 0; y must be nowhere negative. */
export function gate(dy: Node, y: Node): Node {
  invariant(sameShape(dy.shape, y.shape), `gate of ${showShape(dy.shape)} by ${showShape(y.shape)}`);
  return make('gate', [dy, y], {}, dy.shape);
}

/** x^2. */
export function square(x: Node): Node {
  return mul(x, x);
}

/** op(a) op(b) + bias for matrices: a [m, k], b [k, n] after the transpositions, bias [n], [m, n] or absent. */
export function gemm(
  a: Node,
  b: Node,
  options: { transposeA?: boolean; transposeB?: boolean; bias?: Node } = {},
): Node {
  const transposeA = options.transposeA ?? false;
  const transposeB = options.transposeB ?? false;
  invariant(a.shape.length === 2 && b.shape.length === 2, 'gemm takes matrices');
  const rows = a.shape[transposeA ? 1 : 0]!;
  const inner = a.shape[transposeA ? 0 : 1]!;
  const columns = b.shape[transposeB ? 0 : 1]!;
  const innerB = b.shape[transposeB ? 1 : 0]!;
  invariant(inner === innerB, `gemm of ${showShape(a.shape)} and ${showShape(b.shape)}`);
  const inputs = options.bias ? [a, b, options.bias] : [a, b];
  return make('gemm', inputs, { transposeA, transposeB }, [rows, columns]);
}

/** x W^T + bias: x [rows, in], weight [out, in] (torch's layout), bias [out]. */
export function linear(x: Node, weight: Node, bias: Node): Node {
  return gemm(x, weight, { transposeB: true, bias });
}

/** Batched a b: a [..., m, k], b [..., k, n]. */
export function matmul(a: Node, b: Node): Node {
  const rank = a.shape.length;
  invariant(rank === b.shape.length && rank >= 3, 'matmul takes equal ranks of at least 3');
  invariant(sameShape(a.shape.slice(0, -2), b.shape.slice(0, -2)), 'matmul batches differ');
  invariant(a.shape[rank - 1] === b.shape[rank - 2], `matmul ${showShape(a.shape)} ${showShape(b.shape)}`);
  return make('matmul', [a, b], {}, [...a.shape.slice(0, -1), b.shape[rank - 1]!]);
}

/** softmax(scores) values over the last axis of the scores: scores [..., m, k], values [..., k, n]. */
export function mix(scores: Node, values: Node): Node {
  const weights = softmax(scores);
  return make('mix', [scores, values, weights], {}, matmul(weights, values).shape);
}

/** Axes in a new order. */
export function transpose(x: Node, permutation: readonly number[]): Node {
  const shape = permutation.map((axis) => x.shape[axis]!);
  return make('transpose', [x], { permutation }, shape);
}

/** The same elements in another shape; at most one symbolic dimension on either side. */
export function reshape(x: Node, shape: Shape): Node {
  if (sameShape(x.shape, shape)) return x;
  if (x.op === 'reshape') return reshape(x.inputs[0]!, shape);
  const symbols = (s: Shape) => s.filter((dim) => typeof dim === 'string');
  const size = (s: Shape) => s.reduce<number>((n, dim) => (typeof dim === 'number' ? n * dim : n), 1);
  invariant(symbols(shape).length <= 1, `reshape to ${showShape(shape)}: two symbols`);
  invariant(
    size(shape) === size(x.shape) && symbols(shape)[0] === symbols(x.shape)[0],
    `reshape ${showShape(x.shape)} to ${showShape(shape)}`,
  );
  return make('reshape', [x], {}, shape);
}

function withAxis(shape: Shape, axis: number, dim: Dim): Shape {
  return shape.map((old, index) => (index === axis ? dim : old));
}

/** Rows [start, end) of one axis of known size. */
export function slice(x: Node, axis: number, start: number, end: number): Node {
  const size = x.shape[axis];
  invariant(typeof size === 'number' && 0 <= start && start < end && end <= size, `slice ${start}..${end}`);
  return make('slice', [x], { axis, start, end }, withAxis(x.shape, axis, end - start));
}

/** Zeros before and after on one axis of known size. */
export function pad(x: Node, axis: number, before: number, after: number): Node {
  const size = x.shape[axis];
  invariant(typeof size === 'number', 'pad of a symbolic axis');
  return make('pad', [x], { axis, before, after }, withAxis(x.shape, axis, before + size + after));
}

/** Where the rows of a graph split in two: run-time counts and the symbols of the three sizes. */
export interface Boundary {
  /** int64 [1]: rows of the first part. */
  readonly headCount: Node;
  /** int64 [2]: 0 and the rows of the second part, the padding that makes the first part whole. */
  readonly afterHead: Node;
  /** int64 [2]: the rows of the first part and 0. */
  readonly beforeTail: Node;
  readonly whole: string;
  readonly head: string;
  readonly tail: string;
}

function splitOf({ headCount, afterHead, beforeTail }: Boundary): Node[] {
  return [headCount, afterHead, beforeTail];
}

/** The first or the second part of the rows of x [whole, ...]. */
export function part(x: Node, boundary: Boundary, side: Side): Node {
  invariant(x.shape[0] === boundary.whole, `part of ${showShape(x.shape)}`);
  return make('part', [x, ...splitOf(boundary)], { side }, [boundary[side], ...x.shape.slice(1)]);
}

/** The adjoint of `part`: x [head or tail, ...] with zero rows in place of the other part. */
export function unpart(x: Node, like: Node<'part'>): Node {
  const [whole, ...split] = like.inputs;
  return make('unpart', [x, ...split], { side: like.attributes.side }, whole!.shape);
}

/** Tensors one after the other along an axis of known sizes. */
export function concat(parts: readonly Node[], axis: number): Node {
  const first = parts[0];
  invariant(first !== undefined, 'concat of nothing');
  if (parts.length === 1) return first;
  const total = parts.reduce<number>((sum, node) => {
    const size = node.shape[axis];
    invariant(typeof size === 'number', 'concat along a symbolic axis');
    return sum + size;
  }, 0);
  return make('concat', parts, { axis }, withAxis(first.shape, axis, total), first.type);
}

/** The head's rows, then the tail's: the inverse of taking both parts. */
export function join(head: Node, tail: Node, boundary: Boundary): Node {
  invariant(sameShape(head.shape.slice(1), tail.shape.slice(1)), 'join of rows of different shapes');
  return make('join', [head, tail, ...splitOf(boundary)], {}, [boundary.whole, ...head.shape.slice(1)]);
}

/** Rows of a table [R, k] by int32 indices [n] -> [n, k]. */
export function gatherRows(table: Node, rows: Node): Node {
  invariant(rows.type === 'int32' && rows.shape.length === 1, 'rows are named by int32 indices');
  return make('gatherRows', [table, rows], {}, [rows.shape[0]!, ...table.shape.slice(1)], table.type);
}

/** Rows [n, k] added up in a table of zeros [rows, k], each in the row that its int32 index names. */
export function scatterRows(x: Node, indices: Node, rows: number): Node {
  invariant(indices.type === 'int32' && sameShape(indices.shape, [x.shape[0]!]), 'an index for each row');
  return make('scatterRows', [x, indices], { rows }, [rows, ...x.shape.slice(1)]);
}

/** Number of rows of x, int64 [1]. */
export function rowCount(x: Node): Node {
  return make('rowCount', [x], {}, [1], 'int64');
}

/** Sum over some axes, which stay with size 1. */
export function reduceSum(x: Node, axes: readonly number[]): Node {
  const shape = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  return make('reduceSum', [x], { axes }, shape);
}

/** Sum of each column of a matrix: x [n, k] -> [k]. */
export function columnSums(x: Node): Node {
  invariant(x.shape.length === 2, `columns of ${showShape(x.shape)}`);
  return make('columnSums', [x], {}, [x.shape[1]!]);
}

/** x repeated along its axes of size 1 to the shape of `like`. */
export function stretch(x: Node, like: Node): Node {
  return sameShape(x.shape, like.shape) ? x : make('stretch', [x, like], {}, like.shape);
}

/** Sum of all elements as a scalar. */
export function sumAll(x: Node): Node {
  return reshape(
    reduceSum(
      x,
      x.shape.map((_, axis) => axis),
    ),
    [],
  );
}

function withLastOne(shape: Shape): Shape {
  return withAxis(shape, shape.length - 1, 1);
}

/** Maximum over the last axis, which stays with size 1. */
export function reduceMax(x: Node): Node {
  return make('reduceMax', [x], {}, withLastOne(x.shape));
}

/** Layer normalisation over the last axis: standardise(x) * scale + bias. */
export function layerNorm(x: Node, scale: Node, bias: Node, epsilon: number): Node {
  return make('layerNorm', [x, scale, bias], { epsilon }, x.shape);
}

/** (x - mean) / sqrt(variance + epsilon) over the last axis. */
export function standardise(x: Node, epsilon: number): Node {
  return make('standardise', [x], { epsilon }, x.shape);
}

/** 1 / sqrt(variance + epsilon) over the last axis, which stays with size 1. */
export function inverseStd(x: Node, epsilon: number): Node {
  return make('inverseStd', [x], { epsilon }, withLastOne(x.shape));
}

/** 1 where two int32 tensors agree, else 0, broadcast. */
export function equal(a: Node, b: Node): Node {
  invariant(a.type === 'int32' && b.type === 'int32', 'equal compares int32');
  return make('equal', [a, b], {}, broadcastShape(a.shape, b.shape));
}

/** An integer or half-precision tensor as floats. */
export function toFloat(x: Node): Node {
  return make('toFloat', [x], {}, x.shape);
}

/** A tensor in half precision: to be stored, not computed with. */
export function toHalf(x: Node): Node {
  return make('toHalf', [x], {}, x.shape, 'half');
}

/** reshape that keeps an integer type, for index vectors. */
export function reshapeIndex(x: Node, shape: Shape): Node {
  return { ...reshape(x, shape), type: x.type };
}
