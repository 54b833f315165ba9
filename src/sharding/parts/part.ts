import type { OpenPart } from './part-opening.ts';
import type { PartMemory } from './part-state.ts';

/** What front, stages and head have in common: parameters that are trained. */
export abstract class Part {
  protected readonly part: OpenPart;

  protected constructor(part: OpenPart) {
    this.part = part;
  }

  /** A step along the mean gradient of the tasks since the last one. */
  step(learningRate: number): void {
    this.part.state.step(learningRate);
  }

  /** The parameters now, float64 [layout.size], as a copy. */
  masters(): Float64Array {
    return this.part.state.masters();
  }

  /** Parameters and moments now, as copies; gradients of a step under way are left out. */
  memory(): PartMemory {
    return this.part.state.memory();
  }

  /** Goes back to what `memory` gave; gradients of a step under way are dropped. */
  restore(memory: PartMemory): void {
    this.part.state.restore(memory);
  }

  async close(): Promise<void> {
    await Promise.all([this.part.forward.close(), this.part.backward.close()]);
  }
}
