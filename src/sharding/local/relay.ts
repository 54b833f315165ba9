import { PluralError } from '../../core/errors.ts';
import { readFrame } from '../frames/sealed-frame.ts';

/** Takes a frame in; what follows from it, to be carried on. */
export type Recipient = (frame: Uint8Array) => Promise<readonly Uint8Array[]>;

/** Carries sealed frames between participants of one process, as an aggregator does between machines: it reads headers and nothing else. */
export class LocalRelay {
  readonly #recipients = new Map<string, Recipient>();
  readonly #seen: ((to: string, frame: Uint8Array) => void) | undefined;

  /** `seen` is told of every frame that is handed over. */
  constructor(seen?: (to: string, frame: Uint8Array) => void) {
    this.#seen = seen;
  }

  join(id: string, recipient: Recipient): void {
    this.#recipients.set(id, recipient);
  }

  /** Carries a frame and all that follows from it at once. Errors: FRAME_REFUSED, and those of the recipients. */
  async carry(frame: Uint8Array): Promise<void> {
    const { to } = readFrame(frame).header;
    const recipient = this.#recipients.get(to);
    if (recipient === undefined) {
      throw new PluralError('FRAME_REFUSED', `a frame was refused: nobody here is ${to}`);
    }
    this.#seen?.(to, frame);
    const following = await recipient(frame);
    await Promise.all(following.map((one) => this.carry(one)));
  }
}
