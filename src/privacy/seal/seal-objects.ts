import { createRequire } from 'node:module';
import type { SEALLibrary } from 'node-seal/implementation/seal.js';
import { PluralError } from '../../core/errors.ts';

/**
 * Loads node-seal. The build that "allows transparent ciphertexts": the other one refuses a ciphertext whose second half is zero, a
 * guard for those who encrypt with SEAL. Here SEAL's ciphertexts are containers of ring elements, of which any may be zero.
 */
export async function loadLibrary(): Promise<SEALLibrary> {
  // Its types name a default export, which the CommonJS module does not have.
  const load: () => Promise<SEALLibrary> = createRequire(import.meta.url)(
    'node-seal/allows_wasm_node_umd.js',
  );
  return load();
}

/** What node-seal throws is often a number, the address of a C++ exception; this makes an error of it. */
export function translated<T>(library: SEALLibrary, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof PluralError) throw thrown;
    const known = typeof thrown === 'number' || typeof thrown === 'string' || thrown instanceof Error;
    const cause = known ? library.Exception.safe(thrown) : new Error(String(thrown));
    throw new PluralError('INTERNAL', `SEAL: ${cause.message}`, { cause });
  }
}

interface Deletable {
  readonly delete: () => void;
}

/** Objects in the memory of the WebAssembly module, which no collector frees: each is deleted by whoever made it. */
export class SealObjects {
  readonly #alive = new Set<Deletable>();

  get count(): number {
    return this.#alive.size;
  }

  keep<T extends Deletable>(object: T): T {
    this.#alive.add(object);
    return object;
  }

  delete(object: Deletable): void {
    object.delete();
    this.#alive.delete(object);
  }

  /** What `work` makes of an object that is deleted afterwards. */
  using<T extends Deletable, R>(object: T, work: (object: T) => R): R {
    this.keep(object);
    try {
      return work(object);
    } finally {
      this.delete(object);
    }
  }
}
