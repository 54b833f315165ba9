import { expect, test } from 'vitest';
import { emitOnnx } from '../../src/graph/emit.ts';
import * as g from '../../src/graph/ops.ts';
import { sharedSession } from '../../src/training/session-cache.ts';

/** x + value. */
const graph = (value: number) =>
  emitOnnx({ y: g.add(g.input('x', ['N']), g.constant(value)) }, { name: 'plus' });
const X = { x: { type: 'float32' as const, data: Float32Array.of(1), dims: [1] } };

test('equal graphs have one session, others their own', async () => {
  const first = await sharedSession(graph(1), 'cpu');
  expect(await sharedSession(graph(1), 'cpu')).toBe(first);
  const other = await sharedSession(graph(2), 'cpu');
  expect(other).not.toBe(first);
  expect([(await first.run(X))['y']![0], (await other.run(X))['y']![0]]).toEqual([2, 3]);
});

test('one that is in use stays, however many others are opened; what was not used is opened anew', async () => {
  const kept = await sharedSession(graph(10), 'cpu');
  const unused = await sharedSession(graph(11), 'cpu');
  for (let value = 20; value < 40; value++) {
    await sharedSession(graph(value), 'cpu');
    expect(await sharedSession(graph(10), 'cpu')).toBe(kept);
  }
  const again = await sharedSession(graph(11), 'cpu');
  expect(again).not.toBe(unused);
  // Who still has it goes on with it.
  expect([(await unused.run(X))['y']![0], (await again.run(X))['y']![0]]).toEqual([12, 12]);
});

test('a graph that cannot be opened fails for each who asks', async () => {
  const broken = Uint8Array.of(1, 2, 3);
  for (let turn = 0; turn < 2; turn++) {
    await expect(sharedSession(broken, 'cpu')).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
  }
});
