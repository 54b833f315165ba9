import { installedDevices } from '../../src/training/device.ts';
import { selfCheck } from '../../src/training/self-check.ts';

/** Why there is no WebGPU here; null where there is. */
export async function webgpuMissing(): Promise<string | null> {
  if (!installedDevices().includes('webgpu')) return 'ONNX Runtime has no WebGPU provider on this system';
  const { works, remark } = await selfCheck('webgpu');
  return works ? null : remark;
}
