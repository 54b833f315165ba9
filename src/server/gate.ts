import { WorkMemory } from './work-memory.ts';

/** Lets at most so many pieces of work run at once, each with memory to work in; the rest wait in order. */
export class Gate {
  readonly #free: WorkMemory[];
  readonly #waiting: ((memory: WorkMemory) => void)[] = [];

  constructor(atOnce: number) {
    this.#free = Array.from({ length: atOnce }, () => new WorkMemory());
  }

  async run<Result>(work: (memory: WorkMemory) => Promise<Result>): Promise<Result> {
    const memory = this.#free.pop() ?? (await this.#turn());
    try {
      return await work(memory);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(memory);
      else next(memory);
    }
  }

  #turn(): Promise<WorkMemory> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
