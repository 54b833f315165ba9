import * as ort from 'onnxruntime-node';
import { PluralError } from '../core/errors.ts';

/** Devices a configuration may ask for. `auto` takes the CPU, whose results are the same bits everywhere and always: the others are opt-in. */
export const DEVICES = ['auto', 'cpu', 'cuda', 'webgpu', 'coreml', 'dml'] as const;
export type DeviceName = (typeof DEVICES)[number];
export type Device = Exclude<DeviceName, 'auto'>;

/** What each device takes, for those who look for one in vain. */
export const DEVICE_NEEDS: Readonly<Record<Device, string>> = {
  cpu: 'nothing but this package.',
  webgpu:
    'a graphics driver: Vulkan on Linux (packages libvulkan1 and, on Debian, mesa-vulkan-drivers or NVIDIA’s driver), Metal on macOS, Direct3D 12 on Windows. The rest is in this package.',
  cuda: 'Linux on x64 with NVIDIA’s driver, CUDA 12 and cuDNN 9, and the provider, which is not in this package: node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12',
  coreml: 'macOS; it is in this package there.',
  dml: 'Windows with Direct3D 12; it is in this package there.',
};

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
