import { expect, test } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { makeModel } from '../../src/wire/model.ts';

test('the digest of a model is that of its parameters, little-endian, and does not depend on the round', () => {
  const parameters = Float32Array.of(1, -2.5);
  const bytes = Buffer.from('0000803f000020c0', 'hex');
  expect(makeModel(4, parameters)).toEqual({ round: 4, parameters, digest: sha256(bytes) });
  expect(makeModel(5, parameters).digest).toBe(sha256(bytes));
  expect(makeModel(4, Float32Array.of(1, -2.25)).digest).not.toBe(sha256(bytes));
});

test('a view of a larger array counts as what it shows', () => {
  const whole = Float32Array.of(9, 1, -2.5, 9);
  expect(makeModel(0, whole.subarray(1, 3)).digest).toBe(makeModel(0, Float32Array.of(1, -2.5)).digest);
});
