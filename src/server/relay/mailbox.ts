import { PluralError } from '../../core/errors.ts';

/** Frames are small and few at a time; a stage comes after each round. Bounds what somebody who fetches nothing makes the aggregator hold. */
const MOST_BYTES = 256 * 2 ** 20;
const MOST_FRAMES = 4096;

/** Sealed frames that wait for one participant, numbered, until it says that it has them. */
export class Mailbox {
  #waiting: { readonly number: number; readonly frame: Uint8Array<ArrayBuffer> }[] = [];
  #last = 0;
  #bytes = 0;

  /** Errors: RATE_LIMITED where too much waits: whoever sends tries again. */
  put(frame: Uint8Array<ArrayBuffer>): void {
    if (this.#waiting.length >= MOST_FRAMES || this.#bytes + frame.byteLength > MOST_BYTES) {
      throw new PluralError('RATE_LIMITED', 'too many frames wait for one participant', {
        hint: 'It does not fetch them; try again later.',
      });
    }
    this.#waiting.push({ number: ++this.#last, frame });
    this.#bytes += frame.byteLength;
  }

  /** Forgets the frames up to a number, and gives those after it: as many as `mostBytes` have room for, and at least one. */
  after(
    number: number,
    mostBytes: number,
  ): { readonly last: number; readonly frames: Uint8Array<ArrayBuffer>[] } {
    while (this.#waiting[0] !== undefined && this.#waiting[0].number <= number) {
      this.#bytes -= this.#waiting.shift()!.frame.byteLength;
    }
    const frames: Uint8Array<ArrayBuffer>[] = [];
    let [last, bytes] = [Math.min(number, this.#last), 0];
    for (const waiting of this.#waiting) {
      bytes += waiting.frame.byteLength;
      if (frames.length > 0 && bytes > mostBytes) break;
      frames.push(waiting.frame);
      last = waiting.number;
    }
    return { last, frames };
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }
}
