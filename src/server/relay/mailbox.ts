import { PluralError } from '../../core/errors.ts';

/** Frames are small and few at a time; a stage comes after each round. Bounds what somebody who fetches nothing makes the aggregator hold. */
const MOST_BYTES = 256 * 2 ** 20;
const MOST_FRAMES = 4096;
/** Of one sender, beyond its first and those that the next of their kind replaces: whoever floods a mailbox leaves room for the others. */
const MOST_BYTES_OF_ONE = 32 * 2 ** 20;
const MOST_FRAMES_OF_ONE = 1024;

interface Waiting {
  readonly number: number;
  readonly from: string;
  readonly only: string | null;
  readonly frame: Uint8Array<ArrayBuffer>;
}

/** What waits of one sender and is not replaced. */
interface Share {
  readonly frames: number;
  readonly bytes: number;
}

const NO_SHARE: Share = { frames: 0, bytes: 0 };

/** Sealed frames that wait for one participant, numbered, until it says that it has them. */
export class Mailbox {
  readonly #waiting: Waiting[] = [];
  readonly #shares = new Map<string, Share>();
  #last = 0;
  #bytes = 0;

  /** `only`: of such frames of a sender the newest is enough. Errors: RATE_LIMITED where too much waits, of all or of this sender: whoever sends tries again. */
  put(frame: Uint8Array<ArrayBuffer>, from: string, only: string | null = null): void {
    const { byteLength } = frame;
    const older = this.#waiting.findIndex((one) => only !== null && one.from === from && one.only === only);
    if (older >= 0) this.#forget(this.#waiting.splice(older, 1)[0]!);
    const { frames, bytes } = this.#shares.get(from) ?? NO_SHARE;
    const all = this.#waiting.length >= MOST_FRAMES || this.#bytes + byteLength > MOST_BYTES;
    const isFlood = frames >= MOST_FRAMES_OF_ONE || (frames > 0 && bytes + byteLength > MOST_BYTES_OF_ONE);
    if (all || (isFlood && only === null)) {
      throw new PluralError('RATE_LIMITED', 'too many frames wait for one participant', {
        hint: 'It does not fetch them; try again later.',
      });
    }
    this.#waiting.push({ number: ++this.#last, from, only, frame });
    this.#bytes += byteLength;
    if (only === null) this.#shares.set(from, { frames: frames + 1, bytes: bytes + byteLength });
  }

  /** Forgets the frames up to a number, and gives those after it: as many as `mostBytes` have room for, and at least one. */
  after(
    number: number,
    mostBytes: number,
  ): { readonly last: number; readonly frames: Uint8Array<ArrayBuffer>[] } {
    while (this.#waiting[0] !== undefined && this.#waiting[0].number <= number) {
      this.#forget(this.#waiting.shift()!);
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

  #forget({ from, only, frame }: Waiting): void {
    this.#bytes -= frame.byteLength;
    if (only !== null) return;
    const { frames, bytes } = this.#shares.get(from) ?? NO_SHARE;
    if (frames <= 1) this.#shares.delete(from);
    else this.#shares.set(from, { frames: frames - 1, bytes: bytes - frame.byteLength });
  }
}
