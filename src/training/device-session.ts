import type * as ort from 'onnxruntime-node';
import { invariant } from '../core/errors.ts';
import type { Feeds } from '../predictor/predictor.ts';
import type { Device } from './device.ts';
import { asTensor, createSession, feedOf, runSession } from './session.ts';

/** A tensor that lies on a device. */
export interface Held {
  readonly tensor: ort.Tensor;
}

/** Outputs of a run: those that stay on the device, and the others. */
export interface DeviceOutputs {
  held(name: string): Held;
  values(name: string): Float32Array;
}

/** A session some of whose inputs and outputs stay on the device. */
export interface DeviceSession {
  run(feeds: Feeds, held: Readonly<Record<string, Held>>): Promise<DeviceOutputs>;
  close(): Promise<void>;
}

/** Frees what a tensor takes on the device. */
export function release(held: Held): void {
  held.tensor.dispose();
}

/** Opens a session; outputs in `keep` stay on the device. Errors: DEVICE_UNAVAILABLE, ENGINE_FAILED. */
export async function openDeviceSession(
  model: Uint8Array,
  device: Device,
  keep: readonly string[],
  more: ort.InferenceSession.SessionOptions = {},
): Promise<DeviceSession> {
  const session = await createSession(model, device, {
    preferredOutputLocation: Object.fromEntries(keep.map((name) => [name, 'gpu-buffer' as const])),
    ...more,
  });
  const outputs = Object.fromEntries(session.outputNames.map((name) => [name, null]));
  return {
    run: async (feeds, held) => {
      const tensors = Object.fromEntries(
        session.inputNames.map((name) => [name, held[name]?.tensor ?? asTensor(feedOf(feeds, name))]),
      );
      const results = await runSession(session, tensors, outputs);
      const tensorOf = (name: string) => {
        const tensor = results[name];
        invariant(tensor !== undefined, `no output ${name}`);
        return tensor;
      };
      return {
        held: (name) => ({ tensor: tensorOf(name) }),
        values: (name) => tensorOf(name).data as Float32Array,
      };
    },
    close: () => session.release(),
  };
}
