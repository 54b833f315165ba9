/**
 * Memory for arrays that are made anew again and again: where pages are expensive, taking them from the system each time costs more
 * than filling them.
 */
export class Scratch {
  readonly #kept = new Map<string, Float32Array>();

  /** A float32 array under a name, [length], with whatever was left in it. It is the caller's until the name is asked for again. */
  floats(name: string, length: number): Float32Array {
    const kept = this.#kept.get(name);
    if (kept !== undefined && kept.length >= length) return kept.subarray(0, length);
    // Somewhat more, so that sizes which creep up do not ask for new memory each time.
    const grown = new Float32Array(Math.ceil(1.25 * length));
    this.#kept.set(name, grown);
    return grown.subarray(0, length);
  }
}
