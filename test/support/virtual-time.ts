import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../src/core/clock.ts';

/** Times are multiples of this, so that some things happen at once and race. */
const TICK_MS = 50;

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

/**
 * A clock that does not run by itself: while anything is at work it stands still, then it jumps to the next moment that
 * somebody waits for.
 */
export class VirtualTime implements Clock {
  #now = Date.UTC(2026, 0, 1);
  #sleepers: Sleeper[] = [];
  #busy = 0;
  #idle: () => void = () => undefined;

  now(): number {
    return this.#now;
  }

  sleep(ms: number): Promise<void> {
    const at = TICK_MS * Math.ceil((this.#now + ms) / TICK_MS);
    return new Promise((wake) => this.#sleepers.push({ at, wake }));
  }

  /** Does work that takes no time: the clock stands until it is done. */
  async hold<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#busy++;
    try {
      return await work();
    } finally {
      if (--this.#busy === 0) this.#idle();
    }
  }

  /** Goes on until something holds; `between` is called, alone, before each jump. Fails after so many jumps. */
  async runUntil(over: () => boolean, between: () => Promise<void>, mostJumps: number): Promise<void> {
    for (let jump = 0; jump < mostJumps; jump++) {
      await this.#quiet();
      await between();
      if (over()) return;
      this.#jump();
    }
    throw new Error(`not over after ${mostJumps} jumps of the clock`);
  }

  async #quiet(): Promise<void> {
    do {
      if (this.#busy > 0) {
        await new Promise<void>((resolve) => {
          this.#idle = resolve;
        });
      }
      // Whoever was waiting for that work has its turn, and may begin more; twice for those who give way themselves.
      await setImmediate();
      if (this.#busy === 0) await setImmediate();
    } while (this.#busy > 0);
  }

  #jump(): void {
    if (this.#sleepers.length === 0) throw new Error('nothing is left that could happen');
    this.#now = Math.min(...this.#sleepers.map(({ at }) => at));
    const due = this.#sleepers.filter(({ at }) => at === this.#now);
    this.#sleepers = this.#sleepers.filter(({ at }) => at > this.#now);
    for (const { wake } of due) wake();
  }
}
