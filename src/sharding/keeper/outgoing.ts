import { invariant } from '../../core/errors.ts';
import type { FrameHeader, PayloadType } from '../../wire/shard-frame.ts';
import type { Links } from '../frames/links.ts';
import { sealFrame } from '../frames/sealed-frame.ts';
import { type Keeping, sidesOf } from '../frames/seats.ts';
import type { Frame } from '../parts/part-session.ts';
import type { KeeperParts } from './setup.ts';

/** What a frame is of. */
export type TaskId = Pick<FrameHeader, 'round' | 'attempt' | 'step' | 'group' | 'context' | 'target'>;
/** Where it goes. */
export type Route = Pick<FrameHeader, 'boundary' | 'to'>;

/** Seals what a keeper sends. */
export class Outgoing {
  readonly #setup: Pick<KeeperParts, 'run' | 'identity' | 'frames'>;
  readonly #links: Links;
  readonly #index: number;
  #sequence = 0;

  constructor(setup: Pick<KeeperParts, 'run' | 'identity' | 'frames'>, links: Links, index: number) {
    const { run, identity, frames } = setup;
    this.#setup = { run, identity, frames };
    this.#links = links;
    this.#index = index;
  }

  /** Where a frame of a group goes after this stage. */
  onward(keeping: Keeping, group: string): Route {
    const boundary = this.#index + 1;
    return { boundary, to: sidesOf(keeping, group, boundary).after };
  }

  /** A frame on its way to the part after this. */
  passedOn(frame: Frame, header: FrameHeader, keeping: Keeping): Uint8Array {
    return this.sealed(frame, header.kind, header, this.onward(keeping, header.group));
  }

  /** Where a frame of a group goes on its way back. */
  back(keeping: Keeping, group: string): Route {
    return { boundary: this.#index, to: sidesOf(keeping, group, this.#index).before };
  }

  sealed(
    frame: Frame,
    kind: FrameHeader['kind'],
    { round, attempt, step, group, context, target }: TaskId,
    { boundary, to }: Route,
  ): Uint8Array {
    const { run, identity } = this.#setup;
    const link = this.#links.with(to);
    invariant(link !== null, 'frames go to those with whom there is a link');
    const { rows, width } = frame;
    const header: FrameHeader = {
      ...{ run, kind, epoch: link.epoch, round, attempt, step, group, boundary },
      ...{ from: identity.publicKey, to, rows, width, context, target },
      type: this.#typeOf(kind),
      sequence: this.#sequence++,
    };
    return sealFrame(frame, header, link, identity);
  }

  #typeOf(kind: FrameHeader['kind']): PayloadType {
    if (kind === 'memory') return 'float64';
    if (kind === 'share') return 'uint8';
    // A probe compares digits.
    return kind === 'probe' ? 'float32' : this.#setup.frames;
  }
}
