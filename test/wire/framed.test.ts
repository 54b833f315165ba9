import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FRAME_HEAD_BYTES, frameBytes, framed, unframed } from '../../src/wire/framed.ts';

test('what is put in a frame comes out of it, and its beginning says how long it is (property)', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 4 }), (parts) => {
      const frame = framed(...parts);
      expect(Buffer.compare(unframed(frame)!, Buffer.concat(parts))).toBe(0);
      expect(frameBytes(frame.subarray(0, FRAME_HEAD_BYTES))).toBe(frame.length);
      // Wherever it stands in memory.
      const larger = Buffer.concat([Uint8Array.of(7, 7, 7), frame]);
      expect(Buffer.compare(unframed(larger.subarray(3))!, Buffer.concat(parts))).toBe(0);
    }),
  );
});

test('a frame of another length is none', () => {
  const frame = framed(Uint8Array.of(1, 2, 3));
  for (let length = 0; length < frame.length; length++)
    expect(unframed(frame.subarray(0, length))).toBeNull();
  expect(unframed(Buffer.concat([frame, Uint8Array.of(0)]))).toBeNull();
  expect(frameBytes(new Uint8Array(3))).toBeNull();
  expect(frameBytes(Uint8Array.of(0xff, 0xff, 0xff, 0xff))).toBe(2 ** 32 + 3);
});
