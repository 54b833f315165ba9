import { expect, test } from 'vitest';
import { entryOf, layOut, tensorOf } from '../../src/predictor/layout.ts';

const LAYOUT = layOut([
  { name: 'weight', shape: [2, 3] },
  { name: 'bias', shape: [3] },
  { name: 'scale', shape: [] },
]);

test('tensors stand one after the other, in the order given', () => {
  expect(LAYOUT.entries.map(({ name, offset, size }) => [name, offset, size])).toEqual([
    ['weight', 0, 6],
    ['bias', 6, 3],
    ['scale', 9, 1],
  ]);
  expect(LAYOUT.size).toBe(10);
  expect(layOut([])).toEqual({ entries: [], size: 0, counted: null });
});

test('a tensor is a view of the flat vector', () => {
  const flat = Float32Array.from({ length: 10 }, (_, i) => i);
  const bias = tensorOf(LAYOUT, flat, 'bias');
  expect([...bias]).toEqual([6, 7, 8]);
  bias.fill(-1);
  expect([...flat]).toEqual([0, 1, 2, 3, 4, 5, -1, -1, -1, 9]);
});

test('a name that is not there is a fault', () => {
  expect(() => entryOf(LAYOUT, 'Bias')).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
});
