interface Memory {
  readonly buffer: ArrayBuffer;
}

/** What is needed of WebAssembly, of which the types of Node know nothing. */
const wasm: {
  readonly Memory: new (size: { initial: number }) => Memory;
  instantiate(
    bytes: Uint8Array,
    imports: object,
  ): Promise<{ readonly instance: { readonly exports: object } }>;
} = Reflect.get(globalThis, 'WebAssembly');

/** Memories of the modules that were made while they were watched, in order: node-seal shows them nowhere. */
const memories: Memory[] = [];

/** From here on the memory of each module that is made can be asked for. */
export function watchMemories(): void {
  const { instantiate } = wasm;
  wasm.instantiate = async (bytes, imports) => {
    const made = await instantiate(bytes, imports);
    for (const value of Object.values(made.instance.exports))
      if (value instanceof wasm.Memory) memories.push(value);
    return made;
  };
}

/** Bytes of the heap of a module, counted from 0. */
export function heapOf(module: number): number {
  return memories[module]!.buffer.byteLength;
}

/** Modules that were made so far. */
export function modulesMade(): number {
  return memories.length;
}
