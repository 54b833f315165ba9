/**
 * A computation graph as plain values. A node knows its operator, attributes, inputs, shape and element type;
 * nothing here knows ONNX, federation or preferences.
 */

/** A dimension: a number, or a symbol (`'N'`) that is bound when the graph runs. */
export type Dim = number | string;
export type Shape = readonly Dim[];

export type ElementType = 'float' | 'half' | 'int32' | 'int64';

/**
 * Operators with their attributes. `float` stands for float32 or, in tests, float64: emission decides; `half` is float16, for
 * tables that are read and not computed with.
 * Every name here needs a gradient rule (rules.ts) and an emitter (emit.ts), or the project does not compile.
 */
export interface Operators {
  /** Fed at run time. */
  input: { readonly name: string };
  /** Fixed values, row-major. */
  constant: { readonly values: readonly number[] };
  add: NoAttributes;
  sub: NoAttributes;
  mul: NoAttributes;
  div: NoAttributes;
  neg: NoAttributes;
  exp: NoAttributes;
  log: NoAttributes;
  sqrt: NoAttributes;
  relu: NoAttributes;
  /** The gradient of relu: dy where y > 0, else 0, for y that is nowhere negative; inputs dy, y. */
  gate: NoAttributes;
  /** 1 where x > 0, else 0. */
  step: NoAttributes;
  /** op(A) op(B) + bias, all of rank 2 (bias: rank 1, or the whole result's shape), op = transposition where the flag says so. */
  gemm: { readonly transposeA: boolean; readonly transposeB: boolean };
  /** Batched product over the last two axes; leading axes equal. */
  matmul: NoAttributes;
  /** Rows of values weighted by the softmax of scores; inputs scores, values, softmax(scores). */
  mix: NoAttributes;
  transpose: { readonly permutation: readonly number[] };
  reshape: NoAttributes;
  /** Rows [start, end) of a static axis. */
  slice: { readonly axis: number; readonly start: number; readonly end: number };
  /** Zeros before and after on a static axis: the adjoint of slice. */
  pad: { readonly axis: number; readonly before: number; readonly after: number };
  /** Rows of axis 0 before (`head`) or from (`tail`) a run-time count; inputs x, headCount, afterHead, beforeTail. */
  part: { readonly side: Side };
  /** Zero rows in place of the other part: the adjoint of part; inputs x, headCount, afterHead, beforeTail. */
  unpart: { readonly side: Side };
  concat: { readonly axis: number };
  /** Two tensors one below the other, sizes known at run time only; inputs head, tail, headCount, afterHead, beforeTail. */
  join: NoAttributes;
  /** Rows of a table by their int32 indices. */
  gatherRows: NoAttributes;
  /** Sums of rows by where they belong in a table of `rows` rows, zeros where none does: the adjoint of gatherRows; inputs x, int32 indices. */
  scatterRows: { readonly rows: number };
  /** Number of rows of a tensor, int64 [1]. */
  rowCount: NoAttributes;
  reduceSum: { readonly axes: readonly number[] };
  /** Sums of the columns of a matrix: [n, k] -> [k]. */
  columnSums: NoAttributes;
  /** x repeated along its axes of size 1 to the shape of the second input. */
  stretch: NoAttributes;
  /** Maximum over the last axis, which stays with size 1. */
  reduceMax: NoAttributes;
  /** Over the last axis. */
  softmax: NoAttributes;
  /** Over the last axis; inputs x, scale, bias. */
  layerNorm: { readonly epsilon: number };
  /** (x - mean) / std over the last axis: what layerNorm's backward needs again. */
  standardise: { readonly epsilon: number };
  /** 1 / std over the last axis, which stays with size 1. */
  inverseStd: { readonly epsilon: number };
  /** 1 where two int32 tensors agree, else 0 (broadcast). */
  equal: NoAttributes;
  /** An integer or half-precision tensor as floats. */
  toFloat: NoAttributes;
  /** A float tensor in half precision, for tables. */
  toHalf: NoAttributes;
  /** Identity that lets no gradient through. */
  detach: NoAttributes;
}

type NoAttributes = Readonly<Record<never, never>>;
export type Side = 'head' | 'tail';
export type OpName = keyof Operators;

export interface Node<Op extends OpName = OpName> {
  /** Ascending in order of creation, so ids are a topological order. */
  readonly id: number;
  readonly op: Op;
  readonly attributes: Operators[Op];
  readonly inputs: readonly Node[];
  readonly shape: Shape;
  readonly type: ElementType;
}
