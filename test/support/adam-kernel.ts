import { readFileSync } from 'node:fs';
import wabt from 'wabt';

const SOURCE = new URL('../../src/training/adam-kernel.wat', import.meta.url);

/** Assembles src/training/adam-kernel.wat: what src/training/adam-kernel.ts must hold, in base64. */
export async function assembledKernel(): Promise<string> {
  const module = (await wabt()).parseWat('adam-kernel.wat', readFileSync(SOURCE, 'utf8'), { simd: true });
  try {
    return Buffer.from(module.toBinary({}).buffer).toString('base64');
  } finally {
    module.destroy();
  }
}
