import * as ort from 'onnxruntime-node';
import { PluralError } from '../core/errors.ts';

/** Devices a configuration may ask for. `auto` takes the CPU: the other devices are opt-in. */
export const DEVICES = ['auto', 'cpu', 'cuda', 'webgpu', 'coreml', 'dml'] as const;
export type DeviceName = (typeof DEVICES)[number];
export type Device = Exclude<DeviceName, 'auto'>;

/** Devices that this installation of ONNX Runtime has code for; having the code is not having the hardware. */
export function installedDevices(): Device[] {
  const names = new Set(ort.listSupportedBackends().map((backend) => backend.name));
  return DEVICES.filter((name): name is Device => name !== 'auto' && names.has(name));
}

/** The device of a name; DEVICE_UNAVAILABLE, with the list of what is there, when it is not installed. */
export function resolveDevice(name: string): Device {
  if (name === 'auto') return 'cpu';
  const installed = installedDevices();
  const device = installed.find((candidate) => candidate === name);
  if (device !== undefined) return device;
  throw new PluralError('DEVICE_UNAVAILABLE', `device "${name}" is not available on this machine`, {
    hint: `Available: auto, ${installed.join(', ')}. Run "pluralllm doctor" to see what each one needs.`,
  });
}
