import { emitOnnx } from '../graph/emit.ts';
import * as g from '../graph/ops.ts';
import type { Device } from './device.ts';
import { type Held, openDeviceSession, release } from './device-session.ts';
import type { FeatureStorage } from './feature-storage.ts';

const X = 'x';
const Y = 'y';

/**
 * Copies vectors to a device and back, by graphs that do nothing else: reading a tensor on the device itself ends the process (ONNX
 * Runtime 1.30).
 */
export interface Transfer {
  /** Puts a vector on the device. */
  up(values: Float32Array): Promise<Held>;
  /** A vector from the device. */
  down(held: Held): Promise<Float32Array>;
  close(): Promise<void>;
}

const copying = () => emitOnnx({ [Y]: g.detach(g.input(X, ['n'])) }, { name: 'copy' });

export async function openTransfer(device: Device): Promise<Transfer> {
  const upward = await openDeviceSession(copying(), device, [Y]);
  const downward = await openDeviceSession(copying(), device, []);
  return {
    up: async (values) => {
      const feeds = { [X]: { type: 'float32' as const, data: values, dims: [values.length] } };
      return (await upward.run(feeds, {})).held(Y);
    },
    down: async (held) => (await downward.run({}, { [X]: held })).values(Y),
    close: async () => {
      await upward.close();
      await downward.close();
    },
  };
}

/** A table on a device. */
export interface DeviceTable {
  readonly held: Held;
  close(): Promise<void>;
}

/** Puts a table [rows, width] on a device, in float32 or float16. */
export async function uploadTable(
  table: Float32Array,
  width: number,
  storage: FeatureStorage,
  device: Device,
): Promise<DeviceTable> {
  const x = g.input(X, ['rows', width]);
  const model = emitOnnx({ [Y]: storage === 'float16' ? g.toHalf(x) : g.detach(x) }, { name: 'upload' });
  const session = await openDeviceSession(model, device, [Y]);
  // ONNX Runtime refuses shared memory as an input, hence the copy.
  const data = Float32Array.from(table);
  const feeds = { [X]: { type: 'float32' as const, data, dims: [table.length / width, width] } };
  const held = (await session.run(feeds, {})).held(Y);
  return {
    held,
    close: async () => {
      // A tensor must be gone before the session that made it, whose memory it is.
      release(held);
      await session.close();
    },
  };
}
