import type { Engine, EngineSetup } from './engine.ts';
import { HostEngine } from './host-engine.ts';
import { ResidentEngine } from './resident-engine.ts';

/** The engine for a device: WebGPU keeps parameters, moments and features on the device, the others are fed. */
export function engineFor(setup: EngineSetup): Engine {
  return setup.device === 'webgpu' ? new ResidentEngine(setup) : new HostEngine(setup);
}
