import { describe, expect, it } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { emitOnnx } from '../../src/graph/emit.ts';
import { gradients } from '../../src/graph/gradient.ts';
import type { Node, OpName, Shape } from '../../src/graph/node.ts';
import * as g from '../../src/graph/ops.ts';
import { GRADIENT_RULES } from '../../src/graph/rules.ts';
import { ort } from '../support/ort.ts';

/** Bindings of the symbols that the cases use. */
const SIZES: Record<string, number> = { N: 5, C: 2, T: 3 };

interface Case {
  readonly op: OpName;
  readonly name?: string;
  readonly shapes: readonly Shape[];
  /** Keeps inputs away from poles and kinks. */
  readonly positive?: boolean;
  build(inputs: readonly Node[]): Node;
}

const boundary = {
  headCount: g.input('headCount', [1], 'int64'),
  afterHead: g.input('afterHead', [2], 'int64'),
  beforeTail: g.input('beforeTail', [2], 'int64'),
  whole: 'N',
  head: 'C',
  tail: 'T',
};

/** `unpart` is only made as the adjoint of `part`; the gradient of a gradient exercises its rule. */
function unpartOf(x: Node, side: 'head' | 'tail'): Node {
  const like = g.part(g.input('like', ['N', 3]), boundary, side) as Node<'part'>;
  return g.unpart(x, like);
}

const CASES: readonly Case[] = [
  { op: 'add', shapes: [['N', 3], [3]], build: ([a, b]) => g.add(a!, b!) },
  {
    op: 'add',
    name: 'inner axis',
    shapes: [
      [2, 1, 3],
      ['N', 1],
    ],
    build: ([a, b]) => g.add(a!, b!),
  },
  { op: 'sub', shapes: [[3], ['N', 3]], build: ([a, b]) => g.sub(a!, b!) },
  {
    op: 'mul',
    shapes: [
      ['N', 3],
      ['N', 1],
    ],
    build: ([a, b]) => g.mul(a!, b!),
  },
  { op: 'mul', name: 'one number', shapes: [['N', 3], [1]], build: ([a, b]) => g.mul(a!, b!) },
  { op: 'mul', name: 'square', shapes: [['N', 3]], build: ([a]) => g.square(a!) },
  {
    op: 'div',
    shapes: [
      ['N', 3],
      [1, 3],
    ],
    positive: true,
    build: ([a, b]) => g.div(a!, b!),
  },
  { op: 'neg', shapes: [['N', 3]], build: ([a]) => g.neg(a!) },
  { op: 'exp', shapes: [['N', 3]], build: ([a]) => g.exp(a!) },
  { op: 'log', shapes: [['N', 3]], positive: true, build: ([a]) => g.log(a!) },
  { op: 'sqrt', shapes: [['N', 3]], positive: true, build: ([a]) => g.sqrt(a!) },
  {
    op: 'gate',
    shapes: [
      ['N', 3],
      ['N', 3],
    ],
    positive: true,
    // Moving b does not change the gate; its own gradient comes by another way.
    build: ([a, b]) => g.add(g.gate(a!, b!), b!),
  },
  { op: 'relu', shapes: [['N', 3]], build: ([a]) => g.relu(a!) },
  ...[false, true].flatMap((transposeA) =>
    [false, true].map(
      (transposeB): Case => ({
        op: 'gemm',
        name: `${transposeA ? 'AT' : 'A'} ${transposeB ? 'BT' : 'B'} + bias`,
        shapes: [transposeA ? [4, 'N'] : ['N', 4], transposeB ? [3, 4] : [4, 3], [3]],
        build: ([a, b, bias]) => g.gemm(a!, b!, { transposeA, transposeB, bias: bias! }),
      }),
    ),
  ),
  {
    op: 'gemm',
    name: 'plain',
    shapes: [
      [2, 'N'],
      ['N', 3],
    ],
    build: ([a, b]) => g.gemm(a!, b!),
  },
  {
    op: 'matmul',
    shapes: [
      [2, 'N', 4],
      [2, 4, 'C'],
    ],
    build: ([a, b]) => g.matmul(a!, b!),
  },
  {
    op: 'gemm',
    name: 'added to a matrix',
    shapes: [
      ['N', 4],
      [4, 3],
      ['N', 3],
    ],
    build: ([a, b, c]) => g.gemm(a!, b!, { bias: c! }),
  },
  {
    op: 'mix',
    shapes: [
      [2, 'N', 4],
      [2, 4, 3],
    ],
    build: ([scores, values]) => g.mix(scores!, values!),
  },
  { op: 'columnSums', shapes: [['N', 3]], build: ([a]) => g.columnSums(a!) },
  { op: 'transpose', shapes: [['N', 2, 3]], build: ([a]) => g.transpose(a!, [2, 0, 1]) },
  { op: 'reshape', shapes: [['N', 6]], build: ([a]) => g.reshape(a!, ['N', 2, 3]) },
  { op: 'slice', shapes: [['N', 6]], build: ([a]) => g.slice(a!, 1, 2, 5) },
  { op: 'pad', shapes: [['N', 3]], build: ([a]) => g.pad(a!, 1, 2, 1) },
  { op: 'part', name: 'head', shapes: [['N', 3]], build: ([a]) => g.part(a!, boundary, 'head') },
  { op: 'part', name: 'tail', shapes: [['N', 3]], build: ([a]) => g.part(a!, boundary, 'tail') },
  { op: 'unpart', name: 'head', shapes: [['C', 3]], build: ([a]) => unpartOf(a!, 'head') },
  { op: 'unpart', name: 'tail', shapes: [['T', 3]], build: ([a]) => unpartOf(a!, 'tail') },
  {
    op: 'concat',
    shapes: [
      [2, 3],
      [4, 3],
    ],
    build: ([a, b]) => g.concat([a!, b!], 0),
  },
  {
    op: 'join',
    shapes: [
      ['C', 3],
      ['T', 3],
    ],
    build: ([a, b]) => g.join(a!, b!, boundary),
  },
  { op: 'reduceSum', shapes: [['N', 3, 2]], build: ([a]) => g.reduceSum(a!, [0, 2]) },
  {
    op: 'stretch',
    shapes: [
      ['N', 1],
      ['N', 3],
    ],
    build: ([a, b]) => g.mul(g.stretch(a!, b!), b!),
  },
  {
    op: 'gatherRows',
    name: 'one row twice, one never',
    shapes: [[4, 3]],
    build: ([a]) => g.gatherRows(a!, g.indices([2, 0, 2])),
  },
  {
    op: 'scatterRows',
    name: 'two rows in one place',
    shapes: [[3, 2]],
    build: ([a]) => g.scatterRows(a!, g.indices([3, 1, 3]), 5),
  },
  { op: 'reduceMax', shapes: [['N', 4]], build: ([a]) => g.reduceMax(a!) },
  { op: 'softmax', shapes: [[2, 'N', 4]], build: ([a]) => g.softmax(a!) },
  { op: 'layerNorm', shapes: [['N', 4], [4], [4]], build: ([x, w, b]) => g.layerNorm(x!, w!, b!, 1e-5) },
  { op: 'standardise', shapes: [['N', 4]], build: ([x]) => g.standardise(x!, 1e-5) },
  { op: 'inverseStd', shapes: [['N', 4]], build: ([x]) => g.inverseStd(x!, 1e-5) },
];

/** Operators that pass no gradient on purpose. */
const WITHOUT_GRADIENT: readonly OpName[] = [
  'input',
  'constant',
  'step',
  'equal',
  'toFloat',
  'toHalf',
  'detach',
  'rowCount',
];

function bind(shape: Shape): number[] {
  return shape.map((dim) => (typeof dim === 'number' ? dim : SIZES[dim]!));
}

/** Loss = sum of the result times fixed random weights, so that every element matters differently. */
async function check(test: Case, operators: 'cpu' | 'common'): Promise<number> {
  const random = randomStream(7, test.op, test.name ?? '');
  const inputs = test.shapes.map((shape, index) => g.input(`x${index}`, shape));
  const result = test.build(inputs);
  const loss = g.sumAll(g.mul(result, g.input('weights', result.shape)));
  const grads = gradients(loss, inputs);
  const outputs = { loss, ...Object.fromEntries(grads.map((node, index) => [`g${index}`, node])) };
  const model = emitOnnx(outputs, { name: test.op, precision: 'float64', operators });
  const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3 });

  const draw = (shape: Shape) => {
    const dims = bind(shape);
    const size = dims.reduce((a, b) => a * b, 1);
    const value = () => (test.positive ? 0.5 + random.uniform() : random.normal());
    return new ort.Tensor('float64', Float64Array.from({ length: size }, value), dims);
  };
  const feeds: Record<string, InstanceType<typeof ort.Tensor>> = {};
  for (const [index, shape] of test.shapes.entries()) feeds[`x${index}`] = draw(shape);
  feeds['weights'] = draw(result.shape);
  const available: Record<string, InstanceType<typeof ort.Tensor>> = {
    ...feeds,
    headCount: new ort.Tensor('int64', [BigInt(SIZES['C']!)], [1]),
    afterHead: new ort.Tensor('int64', [0n, BigInt(SIZES['T']!)], [2]),
    beforeTail: new ort.Tensor('int64', [BigInt(SIZES['C']!), 0n], [2]),
    like: new ort.Tensor('float64', new Float64Array(SIZES['N']! * 3), [SIZES['N']!, 3]),
  };
  const run = () =>
    session.run(Object.fromEntries(session.inputNames.map((name) => [name, available[name]!])));

  const lossAt = async () => Number((await run())['loss']!.data[0]);
  const exact = await run();
  let worst = 0;
  const h = 1e-5;
  for (const index of test.shapes.keys()) {
    const data = feeds[`x${index}`]!.data as Float64Array;
    const gradient = exact[`g${index}`]!.data as Float64Array;
    for (let i = 0; i < data.length; i++) {
      const kept = data[i]!;
      data[i] = kept + h;
      const above = await lossAt();
      data[i] = kept - h;
      const below = await lossAt();
      data[i] = kept;
      const difference = (above - below) / (2 * h);
      worst = Math.max(worst, Math.abs(difference - gradient[i]!) / Math.max(1, Math.abs(difference)));
    }
  }
  await session.release();
  return worst;
}

describe('gradient rules against central differences in float64', () => {
  for (const test of CASES) {
    it(`${test.op} ${test.name ?? ''}`, async () => {
      for (const operators of ['common', 'cpu'] as const)
        expect(await check(test, operators)).toBeLessThan(1e-7);
    });
  }

  it('covers every operator that passes a gradient', () => {
    const covered = new Set<OpName>([...CASES.map((test) => test.op), ...WITHOUT_GRADIENT]);
    expect(Object.keys(GRADIENT_RULES).filter((op) => !covered.has(op as OpName))).toEqual([]);
  });
});
