import { PluralError } from '../../core/errors.ts';
import type { FrameKind } from '../../wire/shard-frame.ts';

/** Frames are small and few at a time; a stage comes after each round. Bounds what somebody who fetches nothing makes the aggregator hold. */
const MOST_BYTES = 256 * 2 ** 20;
const MOST_FRAMES = 4096;
/** Of one sender, beyond its first: whoever floods a mailbox leaves room for the others. */
const MOST_BYTES_OF_ONE = 32 * 2 ** 20;
const MOST_FRAMES_OF_ONE = 1024;

/** What is told again and again: the last of a sender are enough, and who is away for long must not make its senders wait. */
const LAST_ENOUGH: Readonly<Partial<Record<FrameKind, number>>> = { memory: 1, share: 4 };

interface Waiting {
  readonly number: number;
  readonly from: string;
  readonly kind: FrameKind;
  readonly frame: Uint8Array<ArrayBuffer>;
}

/** What waits of one sender. */
interface Share {
  readonly frames: number;
  readonly bytes: number;
}

const NO_SHARE: Share = { frames: 0, bytes: 0 };

/** Sealed frames that wait for one participant, numbered, until it says that it has them. */
export class Mailbox {
  #waiting: Waiting[] = [];
  readonly #shares = new Map<string, Share>();
  #last = 0;
  #bytes = 0;

  /** Errors: RATE_LIMITED where too much waits, of all or of this sender: whoever sends tries again. */
  put(frame: Uint8Array<ArrayBuffer>, from: string, kind: FrameKind): void {
    this.#makeRoom(from, kind);
    const { byteLength } = frame;
    const { frames, bytes } = this.#shares.get(from) ?? NO_SHARE;
    const all = this.#waiting.length >= MOST_FRAMES || this.#bytes + byteLength > MOST_BYTES;
    const one = frames >= MOST_FRAMES_OF_ONE || (frames > 0 && bytes + byteLength > MOST_BYTES_OF_ONE);
    if (all || one) {
      throw new PluralError('RATE_LIMITED', 'too many frames wait for one participant', {
        hint: 'It does not fetch them; try again later.',
      });
    }
    this.#waiting.push({ number: ++this.#last, from, kind, frame });
    this.#bytes += byteLength;
    this.#shares.set(from, { frames: frames + 1, bytes: bytes + byteLength });
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

  /** Forgets what the next frame of a kind takes the place of. */
  #makeRoom(from: string, kind: FrameKind): void {
    const enough = LAST_ENOUGH[kind];
    if (enough === undefined) return;
    const alike = this.#waiting.filter((one) => one.from === from && one.kind === kind);
    const old = alike.slice(0, Math.max(0, alike.length + 1 - enough));
    if (old.length === 0) return;
    for (const one of old) this.#forget(one);
    this.#waiting = this.#waiting.filter((one) => !old.includes(one));
  }

  #forget({ from, frame }: Waiting): void {
    const { frames, bytes } = this.#shares.get(from) ?? NO_SHARE;
    this.#bytes -= frame.byteLength;
    if (frames <= 1) this.#shares.delete(from);
    else this.#shares.set(from, { frames: frames - 1, bytes: bytes - frame.byteLength });
  }
}
