import { describe, expect, test } from 'vitest';
import { emitOnnx } from '../../src/graph/emit.ts';
import * as g from '../../src/graph/ops.ts';
import { layOut } from '../../src/predictor/layout.ts';
import { ParameterViews } from '../../src/predictor/parameter-views.ts';
import { ort, runOnce } from '../support/ort.ts';

const LAYOUT = layOut([
  { name: 'matrix', shape: [3, 2] },
  { name: 'vector', shape: [2] },
]);

/** Loss = sum of the squares of what is read, so the gradient is twice the parameter. */
const squares = (node: Parameters<typeof g.sumAll>[0]) => g.sumAll(g.square(node));

function gradientOf(build: (views: ParameterViews) => ReturnType<typeof g.sumAll>) {
  const views = new ParameterViews(LAYOUT);
  const model = emitOnnx({ gradient: views.gradientOf(build(views)) }, { name: 'views' });
  const parameters = Float32Array.from({ length: LAYOUT.size }, (_, i) => i + 1);
  return runOnce(model, { parameters: new ort.Tensor('float32', parameters, [LAYOUT.size]) });
}

describe('ParameterViews', () => {
  test('writes the gradient back as one flat vector, whatever the order of reading', async () => {
    const { gradient } = await gradientOf((views) =>
      g.add(squares(views.tensor('vector')), g.mul(g.constant(3), squares(views.tensor('matrix')))),
    );
    expect([...gradient!]).toEqual([6, 12, 18, 24, 30, 36, 14, 16]);
  });

  test('reads rows of a tensor, and the same rows as the same node', async () => {
    const { gradient } = await gradientOf((views) => {
      const [low, high] = [views.tensor('matrix', [1, 3]), views.tensor('matrix', [0, 1])];
      expect(low.shape).toEqual([2, 2]);
      expect(views.tensor('matrix', [1, 3])).toBe(low);
      return g.add(g.add(squares(low), squares(low)), g.add(squares(high), squares(views.tensor('vector'))));
    });
    expect([...gradient!]).toEqual([2, 4, 12, 16, 20, 24, 14, 16]);
  });

  test('a frozen tensor is read, and its gradient is exactly 0', async () => {
    const { gradient } = await gradientOf((views) =>
      g.add(squares(views.frozen('matrix')), squares(views.tensor('vector'))),
    );
    expect([...gradient!].map(Math.abs)).toEqual([0, 0, 0, 0, 0, 0, 14, 16]);
  });

  test.each([
    ['a tensor', (views: ParameterViews) => squares(views.tensor('matrix'))],
    ['the first tensor', (views: ParameterViews) => squares(views.tensor('vector'))],
    [
      'some rows',
      (views: ParameterViews) =>
        g.add(squares(views.tensor('matrix', [0, 2])), squares(views.tensor('vector'))),
    ],
  ])('%s that is not read is a fault: its gradient would be missing', (_, build) => {
    const views = new ParameterViews(LAYOUT);
    expect(() => views.gradientOf(build(views))).toThrow(
      expect.objectContaining({ code: 'INTERNAL', message: expect.stringMatching(/not read/) }),
    );
  });

  test('rows that are read twice in different pieces are a fault: their gradient would be split', () => {
    const views = new ParameterViews(LAYOUT);
    const twice = g.add(squares(views.tensor('matrix')), squares(views.tensor('matrix', [1, 3])));
    const loss = g.add(twice, squares(views.tensor('vector')));
    expect(() => views.gradientOf(loss)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/twice/) }),
    );
  });
});
