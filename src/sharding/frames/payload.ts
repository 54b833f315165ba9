import { bytesOf, float32From, float64From } from '../../core/bytes.ts';
import type { FrameHeader, PayloadType } from '../../wire/shard-frame.ts';
import type { Floats, Frame } from '../parts/part-session.ts';

const FLOAT_BYTES = 4;
const DOUBLE_BYTES = 8;
/** Largest of an int8, so that both signs have as many steps. */
const STEPS = 127;

/** Bytes of a payload before it is sealed. */
export function payloadBytes(type: PayloadType, rows: number, width: number): number {
  if (type === 'float64') return DOUBLE_BYTES * rows * width;
  if (type === 'uint8') return rows * width;
  return type === 'float32' ? FLOAT_BYTES * rows * width : rows * (FLOAT_BYTES + width);
}

/** Largest absolute value; 0 of none. */
export function largest(values: Iterable<number>): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}

/** Scales of all rows, float32 [rows], then the numbers in units of them, rounded to the nearest. */
function packed({ rows, width }: Frame, values: Float32Array): Uint8Array {
  const scales = new Float32Array(rows);
  const steps = new Int8Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const own = values.subarray(row * width, (row + 1) * width);
    const scale = largest(own) / STEPS;
    scales[row] = scale;
    if (scale > 0) for (let i = 0; i < width; i++) steps[row * width + i] = Math.round(own[i]! / scale);
  }
  return Buffer.concat([bytesOf(scales), bytesOf(steps)]);
}

function unpacked(bytes: Uint8Array, { rows, width }: Pick<FrameHeader, 'rows' | 'width'>): Float32Array {
  const scales = float32From(bytes.subarray(0, FLOAT_BYTES * rows));
  const steps = new Int8Array(bytes.buffer, bytes.byteOffset + FLOAT_BYTES * rows, rows * width);
  return Float32Array.from(steps, (step, index) => step * scales[Math.floor(index / width)]!);
}

/** The numbers of a frame as bytes, little-endian. As int8 each is off by at most half a step, the row's largest / 254. */
export function packFrame(frame: Frame, type: PayloadType): Uint8Array {
  if (type === 'float64') return new Uint8Array(bytesOf(Float64Array.from(frame.data)));
  if (type === 'uint8') return Uint8Array.from(frame.data);
  const values = frame.data instanceof Float32Array ? frame.data : Float32Array.from(frame.data);
  return type === 'int8' ? packed(frame, values) : new Uint8Array(bytesOf(values));
}

const READERS: Readonly<
  Record<PayloadType, (bytes: Uint8Array, shape: Pick<FrameHeader, 'rows' | 'width'>) => Floats>
> = {
  float32: float32From,
  float64: float64From,
  int8: unpacked,
  uint8: (bytes) => Float32Array.from(bytes),
};

/** The frame of such bytes; null where their number or a number in them cannot be. */
export function unpackFrame(
  bytes: Uint8Array,
  { type, rows, width }: Pick<FrameHeader, 'type' | 'rows' | 'width'>,
): Frame | null {
  if (bytes.byteLength !== payloadBytes(type, rows, width)) return null;
  const data = READERS[type](bytes, { rows, width });
  return data.every(Number.isFinite) ? { data, rows, width } : null;
}
