import { invariant } from '../core/errors.ts';
import { reachable } from './gradient.ts';
import type { ElementType, Node, OpName } from './node.ts';
import { type Attribute, OnnxBuilder, type OnnxType } from './onnx-builder.ts';
import { elementCount } from './shape.ts';

/** Largest float32. */
const LARGEST = (2 - 2 ** -23) * 2 ** 127;

/** ONNX's number of the type. */
const FLOAT16 = 10;
const INT64 = 7;

/** Largest int64 that a JavaScript number holds exactly: "to the end" in Slice. */
const TO_THE_END = Number.MAX_SAFE_INTEGER;

export interface EmitOptions {
  readonly name: string;
  /** What `float` becomes. float64 serves the finite-difference tests and needs the CPU. */
  readonly precision?: 'float32' | 'float64';
  /** `common` uses operators that every provider has, `cpu` faster ones that the CPU has. Default common. */
  readonly operators?: 'cpu' | 'common';
  /** Inputs to store in the model instead of feeding them: their values, row-major. */
  readonly stored?: Readonly<Record<string, Float32Array>>;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Writes ONNX nodes for one graph node: names of its inputs in, names its result `out`. */
interface Scope {
  readonly builder: OnnxBuilder;
  readonly precision: 'float32' | 'float64';
  readonly operators: 'cpu' | 'common';
  readonly floatType: number;
  readonly out: string;
  readonly inputs: readonly string[];
  readonly stored: Readonly<Record<string, Float32Array>>;
  emit(opType: string, inputs?: readonly string[], attributes?: Record<string, Attribute>): void;
  /** An intermediate result with its own name. */
  step(
    suffix: string,
    opType: string,
    inputs: readonly string[],
    attributes?: Record<string, Attribute>,
  ): string;
  scalar(value: number): string;
  /** A result that several nodes need, written by the first of them. */
  once(name: string, write: (name: string) => void): string;
}

type Emitter<Op extends OpName> = (node: Node<Op>, scope: Scope) => void;

const simple =
  (opType: string): Emitter<OpName> =>
  (_, scope) =>
    scope.emit(opType);

function emitInput(node: Node<'input'>, { builder, precision, out, stored }: Scope): void {
  const values = stored[node.attributes.name];
  if (values === undefined) {
    builder.input(out, onnxType(node.type, precision), node.shape);
    return;
  }
  const shape = node.shape.map((dim) => {
    invariant(typeof dim === 'number', `stored input ${out} needs a fixed shape`);
    return dim;
  });
  invariant(elementCount(shape) === values.length, `stored input ${out} has the wrong size`);
  builder.tensor(out, 'float32', shape, values);
}

function emitConstant(node: Node<'constant'>, { builder, precision, out }: Scope): void {
  if (node.type === 'int64') {
    builder.tensor(out, 'int64', node.shape.map(Number), BigInt64Array.from(node.attributes.values, BigInt));
    return;
  }
  if (node.type === 'int32') {
    builder.tensor(out, 'int32', node.shape.map(Number), Int32Array.from(node.attributes.values));
    return;
  }
  const data =
    precision === 'float64'
      ? Float64Array.from(node.attributes.values)
      : Float32Array.from(node.attributes.values);
  builder.tensor(out, precision, node.shape.map(Number), data);
}

function emitUnpart(node: Node<'unpart'>, scope: Scope): void {
  const [x, , afterHead, beforeTail] = scope.inputs as [string, string, string, string];
  const padding = node.attributes.side === 'head' ? afterHead : beforeTail;
  scope.emit('Pad', [x, padding, scope.scalar(0), scope.builder.integers([0])]);
}

function emitPart(node: Node<'part'>, scope: Scope): void {
  const [x, headCount] = scope.inputs as [string, string];
  const { builder } = scope;
  const [start, end] =
    node.attributes.side === 'head'
      ? [builder.integers([0]), headCount]
      : [headCount, builder.integers([TO_THE_END])];
  scope.emit('Slice', [x, start, end, builder.integers([0])]);
}

/**
 * LayerNormalization with unit scale gives x̂ and 1/std in one pass. Both operators write the same node, so that
 * ONNX Runtime's elimination of common subexpressions computes it once.
 */
function emitStandardise(node: Node<'standardise' | 'inverseStd'>, scope: Scope): void {
  const width = Number(node.inputs[0]!.shape.at(-1));
  const ones = scope.builder.tensor(`ones:${width}`, 'float32', [width], new Float32Array(width).fill(1));
  const { out } = scope;
  const outputs =
    node.op === 'standardise'
      ? [out, `${out}/mean`, `${out}/inverse`]
      : [`${out}/normal`, `${out}/mean`, out];
  const epsilon = { real: node.attributes.epsilon };
  scope.builder.node('LayerNormalization', [scope.inputs[0]!, ones], { axis: -1, epsilon }, outputs);
}

/** The same in float64, where LayerNormalization keeps its statistics in float32 only. */
function emitInverseStd64(epsilon: number, scope: Scope, x: string): { centred: string; std: string } {
  const last = scope.builder.integers([-1]);
  const mean = scope.step('mean', 'ReduceMean', [x, last]);
  const centred = scope.step('centred', 'Sub', [x, mean]);
  const squared = scope.step('squared', 'Mul', [centred, centred]);
  const variance = scope.step('variance', 'ReduceMean', [squared, last]);
  const shifted = scope.step('shifted', 'Add', [variance, scope.scalar(epsilon)]);
  return { centred, std: scope.step('std', 'Sqrt', [shifted]) };
}

/** A row of ones times the matrix: for small matrices less work to start than ReduceSum. */
function emitColumnSums({ inputs: [x] }: Node<'columnSums'>, scope: Scope): void {
  const rows = x!.shape[0]!;
  const ones = scope.once(`row of ones:${rows}`, (name) => {
    const shape = scope.step('rows', 'Shape', [scope.inputs[0]!], { start: 0, end: 1 });
    scope.builder.node('Expand', [scope.scalar(1), shape], {}, [name]);
  });
  scope.emit('MatMul', [ones, scope.inputs[0]!]);
}

/** 1 where x > 0, else 0, as the result `out`. */
function emitPositive({ step, builder, scalar, floatType }: Scope, x: string, out: string): void {
  const positive = step('positive', 'Greater', [x, scalar(0)]);
  builder.node('Cast', [positive], { to: floatType }, [out]);
}

/**
 * dy where y > 0. On the CPU the gate is min(1, y times the largest number there is), which is 1 for every y down to 3e-39: one vectorised
 * operator in place of two.
 */
function emitGate(_: Node<'gate'>, scope: Scope): void {
  const [dy, y] = scope.inputs as [string, string];
  const passes = `${scope.out}/passes`;
  if (scope.operators === 'cpu' && scope.precision === 'float32') {
    const attributes = { alpha: { real: LARGEST }, beta: { real: 0 } };
    scope.builder.node('HardSigmoid', [y], attributes, [passes]);
  } else {
    emitPositive(scope, y, passes);
  }
  scope.emit('Mul', [dy, passes]);
}

/**
 * Elsewhere than on the CPU a product with 0 and 1, which every device has: one column for each row of the table, so for tables of some thousand
 * rows, not of millions.
 */
function emitScatterRows({ inputs: [x], attributes: { rows } }: Node<'scatterRows'>, scope: Scope): void {
  const { builder, inputs, step, operators, floatType } = scope;
  const [values, indices] = inputs as [string, string];
  const column = step('column', 'Reshape', [indices, builder.integers([-1, 1])]);
  if (operators === 'cpu') {
    const places = step('places', 'Cast', [column], { to: INT64 });
    const shape = builder.integers([rows, ...x!.shape.slice(1).map(Number)]);
    const zeros = step('zeros', 'Expand', [scope.scalar(0), shape]);
    scope.emit('ScatterND', [zeros, places, values], { reduction: { text: 'add' } });
    return;
  }
  const all = builder.tensor(
    `row numbers:${rows}`,
    'int32',
    [1, rows],
    Int32Array.from({ length: rows }, (_, row) => row),
  );
  const chosen = step('chosen', 'Cast', [step('agrees', 'Equal', [column, all])], { to: floatType });
  scope.emit('Gemm', [chosen, values], { transA: 1 });
}

const EMITTERS: { readonly [Op in OpName]: Emitter<Op> } = {
  input: emitInput,
  constant: emitConstant,
  add: simple('Add'),
  sub: simple('Sub'),
  mul: simple('Mul'),
  div: simple('Div'),
  neg: simple('Neg'),
  exp: simple('Exp'),
  log: simple('Log'),
  sqrt: simple('Sqrt'),
  relu: simple('Relu'),
  gate: emitGate,
  step: (_, scope) => emitPositive(scope, scope.inputs[0]!, scope.out),
  gemm: ({ attributes }, scope) =>
    scope.emit('Gemm', scope.inputs, {
      transA: Number(attributes.transposeA),
      transB: Number(attributes.transposeB),
    }),
  matmul: simple('MatMul'),
  mix: (_, scope) => scope.emit('MatMul', [scope.inputs[2]!, scope.inputs[1]!]),
  transpose: ({ attributes }, scope) =>
    scope.emit('Transpose', scope.inputs, { perm: attributes.permutation }),
  reshape: ({ shape }, scope) => {
    // At most one dimension is symbolic (checked when the node was made): -1 lets ONNX work it out.
    const target = shape.map((dim) => (typeof dim === 'number' ? dim : -1));
    scope.emit('Reshape', [scope.inputs[0]!, scope.builder.integers(target)]);
  },
  slice: ({ attributes: { axis, start, end } }, { emit, inputs, builder }) =>
    emit('Slice', [inputs[0]!, builder.integers([start]), builder.integers([end]), builder.integers([axis])]),
  pad: ({ attributes: { axis, before, after } }, { emit, inputs, builder, scalar }) =>
    emit('Pad', [inputs[0]!, builder.integers([before, after]), scalar(0), builder.integers([axis])]),
  part: emitPart,
  unpart: emitUnpart,
  concat: ({ attributes }, scope) => scope.emit('Concat', scope.inputs, { axis: attributes.axis }),
  join: (_, scope) => scope.emit('Concat', scope.inputs.slice(0, 2), { axis: 0 }),
  gatherRows: (_, scope) => scope.emit('Gather', scope.inputs, { axis: 0 }),
  scatterRows: emitScatterRows,
  rowCount: (_, scope) => scope.emit('Shape', scope.inputs, { start: 0, end: 1 }),
  reduceSum: ({ attributes }, scope) =>
    scope.emit('ReduceSum', [scope.inputs[0]!, scope.builder.integers(attributes.axes)]),
  columnSums: emitColumnSums,
  stretch: (_, scope) => {
    const shape = scope.step('shape', 'Shape', [scope.inputs[1]!]);
    scope.emit('Expand', [scope.inputs[0]!, shape]);
  },
  reduceMax: (_, scope) => scope.emit('ReduceMax', [scope.inputs[0]!, scope.builder.integers([-1])]),
  softmax: (_, scope) => scope.emit('Softmax', scope.inputs, { axis: -1 }),
  layerNorm: ({ attributes }, scope) =>
    scope.emit('LayerNormalization', scope.inputs, { axis: -1, epsilon: { real: attributes.epsilon } }),
  standardise: (node, scope) => {
    if (scope.precision === 'float32') return emitStandardise(node, scope);
    const { centred, std } = emitInverseStd64(node.attributes.epsilon, scope, scope.inputs[0]!);
    scope.emit('Div', [centred, std]);
  },
  inverseStd: (node, scope) => {
    if (scope.precision === 'float32') return emitStandardise(node, scope);
    const { std } = emitInverseStd64(node.attributes.epsilon, scope, scope.inputs[0]!);
    scope.emit('Reciprocal', [std]);
  },
  equal: (_, scope) => {
    const agrees = scope.step('agrees', 'Equal', scope.inputs);
    scope.emit('Cast', [agrees], { to: scope.floatType });
  },
  toHalf: (_, scope) => scope.emit('Cast', scope.inputs, { to: FLOAT16 }),
  toFloat: (_, scope) => scope.emit('Cast', scope.inputs, { to: scope.floatType }),
  detach: simple('Identity'),
};

function onnxType(type: ElementType, precision: 'float32' | 'float64'): OnnxType {
  if (type === 'half') return 'float16';
  return type === 'float' ? precision : type;
}

function scopeOf(
  node: Node,
  names: ReadonlyMap<number, string>,
  builder: OnnxBuilder,
  options: EmitOptions,
  written: Set<string>,
): Scope {
  const precision = options.precision ?? 'float32';
  const out = names.get(node.id)!;
  const inputs = node.inputs.map((source) => names.get(source.id)!);
  return {
    builder,
    precision,
    operators: options.operators ?? 'common',
    floatType: precision === 'float64' ? 11 : 1,
    out,
    inputs,
    stored: options.stored ?? {},
    emit: (opType, from = inputs, attributes = {}) => builder.node(opType, from, attributes, [out]),
    step: (suffix, opType, from, attributes = {}) => {
      builder.node(opType, from, attributes, [`${out}/${suffix}`]);
      return `${out}/${suffix}`;
    },
    scalar: (value) => {
      const data = precision === 'float64' ? Float64Array.of(value) : Float32Array.of(value);
      return builder.tensor(`scalar:${value}`, precision, [], data);
    },
    once: (name, write) => {
      if (!written.has(name)) write(name);
      written.add(name);
      return name;
    },
  };
}

function emitNode<Op extends OpName>(node: Node<Op>, scope: Scope): void {
  const emitter: Emitter<Op> = EMITTERS[node.op];
  emitter(node, scope);
}

/**
 * A graph as an ONNX model (opset 18). Inputs keep their names; outputs get the keys of `outputs`.
 * Names count positions, not ids, so that building the same graph twice gives the same bytes.
 */
export function emitOnnx(outputs: Readonly<Record<string, Node>>, options: EmitOptions): Uint8Array {
  const builder = new OnnxBuilder();
  const order = reachable(Object.values(outputs));
  const names = new Map(
    order.map((node, index) => [
      node.id,
      node.op === 'input' ? (node as Node<'input'>).attributes.name : `${node.op}:${index}`,
    ]),
  );
  const written = new Set<string>();
  for (const node of order) emitNode(node, scopeOf(node, names, builder, options, written));
  for (const [name, node] of Object.entries(outputs)) {
    builder.output(
      name,
      names.get(node.id)!,
      onnxType(node.type, options.precision ?? 'float32'),
      node.shape,
    );
  }
  return builder.build(options.name, options.metadata);
}
