import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesOf, float32From, formatBytes } from '../../src/core/bytes.ts';

describe('formatBytes', () => {
  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [999_499, '999 kB'],
    [999_500, '1.00 MB'],
    [999_950, '1.00 MB'],
    [4_750_000, '4.75 MB'],
    [999_499_999, '999 MB'],
    [999_500_000, '1.00 GB'],
    [12_345_678_901, '12.3 GB'],
    [1e15, '1000 TB'],
    [1_234_567e12, '1234567 TB'],
  ])('%d is %s', (count, text) => {
    expect(formatBytes(count)).toBe(text);
  });

  test('is within half a digit of the count, and never in exponents (property)', () => {
    const factor: Record<string, number> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };
    fc.assert(
      fc.property(fc.nat(Number.MAX_SAFE_INTEGER), (count) => {
        const [figure, unit] = formatBytes(count).split(' ') as [string, string];
        expect(figure).toMatch(/^\d+(\.\d+)?$/);
        const shown = Number(figure) * factor[unit]!;
        expect(Math.abs(shown - count)).toBeLessThanOrEqual(0.0051 * Math.max(count, 1));
      }),
    );
  });
});

test('float32 vectors survive the way to bytes and back, at any offset (property)', () => {
  fc.assert(
    fc.property(fc.float32Array(), fc.nat(7), (values, offset) => {
      const carrier = new Uint8Array(offset + values.byteLength);
      carrier.set(bytesOf(values), offset);
      expect(float32From(carrier.subarray(offset))).toEqual(values);
      // A Buffer in a pool with others.
      expect(float32From(Buffer.concat([carrier]).subarray(offset))).toEqual(values);
    }),
  );
});

test('bytesOf is a view of the part that the array covers', () => {
  const values = Float32Array.of(1, 2, 3);
  const bytes = bytesOf(values.subarray(1, 2));
  expect(bytes.byteLength).toBe(4);
  bytes.fill(0);
  expect([...values]).toEqual([1, 0, 3]);
});
