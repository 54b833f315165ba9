import { invariant } from '../../core/errors.ts';
import type { Batch } from '../../predictor/batch.ts';
import { feedsOf } from '../../predictor/gpo/inputs.ts';
import type { Feeds } from '../../predictor/predictor.ts';
import type { KeyPair } from '../../privacy/secure-sum/key-agreement.ts';
import type { Identity } from '../../wire/identity.ts';
import type { FrameHeader, FrameKind, FrameType } from '../../wire/shard-frame.ts';
import { openFrame, readFrame, sealFrame } from '../frames/sealed-frame.ts';
import type { Front } from '../front.ts';
import type { Head } from '../head.ts';
import { Links } from '../keeper/links.ts';
import { misplaced } from '../keeper/round-ledger.ts';
import type { Seats } from '../keeper/seats.ts';
import type { Floats, Frame } from '../part-session.ts';

/** What a frame becomes before it leaves the front, in a step of a round or in a query of some number. */
export type Blur = (frame: Frame, at: Pick<FrameHeader, 'kind' | 'round' | 'step'>) => Frame;

/** What a group's side of a sharded model is opened with. */
export interface ShardedGroupSetup {
  /** Digest of the run. */
  readonly run: string;
  readonly identity: Identity;
  /** X25519 keys of this run. */
  readonly keys: KeyPair;
  readonly seats: Seats;
  /** Front and head, in sessions that this group may share with others of one process. */
  readonly front: Front;
  readonly head: Head;
  readonly frames: FrameType;
  /** Hands a frame to whoever carries it; a failure to do so fails what waits for the answer. */
  readonly send: (frame: Uint8Array) => Promise<void>;
  /** Changes frames before they leave the front, for instance by noise; left out: as they are. */
  readonly blur?: Blur;
}

/** Where a group stands in a run, and the parameters of front and head that it begins a round with. */
export interface OuterRound {
  readonly epoch: number;
  readonly round: number;
  readonly attempt: number;
  readonly front: Floats;
  readonly head: Floats;
}

type Waiting = { readonly resolve: (frame: Frame) => void };

/**
 * A group's side of a sharded model: front and head, between which frames go through the keepers. Answers never leave the head, and
 * questions never the front; what the frames tell of them, docs/threat-model.md says.
 */
export class ShardedGroup {
  readonly #setup: ShardedGroupSetup;
  readonly #links: Links;
  readonly #waiting = new Map<string, Waiting>();
  readonly #heard = new Map<string, number>();
  #round: OuterRound | null = null;
  #front: Front;
  #head: Head;
  #sequence = 0;
  #queries = 0;
  #sentBytes = 0;
  #receivedBytes = 0;

  /** Errors: FRAME_REFUSED where a keeper's key is none. */
  constructor(setup: ShardedGroupSetup) {
    const { run, identity, keys, seats, front, head } = setup;
    this.#setup = setup;
    const ends = [seats.keepers[0]!, seats.keepers.at(-1)!];
    this.#links = Links.open(run, { id: identity.publicKey, keys }, ends);
    this.#front = front;
    this.#head = head;
  }

  /** Bytes of the frames that it sent and received so far. */
  get traffic(): { readonly sent: number; readonly received: number } {
    return { sent: this.#sentBytes, received: this.#receivedBytes };
  }

  /** Begins a round, or just takes over parameters to predict with; moments start afresh. */
  begin(round: OuterRound): void {
    this.#links.advanceTo(round.epoch);
    this.#round = round;
    this.#waiting.clear();
    this.#front = this.#setup.front.fork(round.front);
    this.#head = this.#setup.head.fork(round.head);
  }

  /** One training step on a task, through all parts and back; its loss. Errors: those of the parts and of who carries frames. */
  async step(batch: Batch, step: number, learningRate: number): Promise<number> {
    const feeds = feedsOf(batch);
    const x = await this.#exchange('forward', await this.#cut(feeds, 'forward', step), batch, step);
    const { loss, dx } = await this.#head.backward(x, feeds);
    const dy = await this.#exchange('backward', dx, batch, step);
    await this.#front.backward(feeds, dy);
    this.#front.step(learningRate);
    this.#head.step(learningRate);
    return loss;
  }

  /** Predicted share of each target point, [T], through the keepers. */
  async predict(batch: Batch): Promise<Floats> {
    const feeds = feedsOf(batch);
    const query = this.#queries++;
    const x = await this.#exchange('query', await this.#cut(feeds, 'query', query), batch, query);
    return this.#head.predict(x, feeds);
  }

  /** What leaves the front. */
  async #cut(feeds: Feeds, kind: FrameKind, step: number): Promise<Frame> {
    const y = await this.#front.forward(feeds);
    return this.#setup.blur?.(y, { kind, round: this.#under.round, step }) ?? y;
  }

  /** Front and head now, float64. */
  parameters(): { readonly front: Float64Array; readonly head: Float64Array } {
    return { front: this.#front.masters(), head: this.#head.masters() };
  }

  /** Takes in a frame that was carried here. Errors: FRAME_REFUSED, NOT_FINITE; one that nobody waits for is dropped. */
  receive(bytes: Uint8Array): void {
    const frame = readFrame(bytes);
    const { header } = frame;
    this.#check(header);
    const waiting = this.#waiting.get(keyOf(header.kind, header.step));
    if (waiting === undefined) return;
    const opened = openFrame(frame, this.#links.with(header.from)!);
    if (header.sequence <= (this.#heard.get(header.from) ?? -1)) throw misplaced('it was here before');
    this.#heard.set(header.from, header.sequence);
    this.#receivedBytes += bytes.byteLength;
    this.#waiting.delete(keyOf(header.kind, header.step));
    waiting.resolve(opened);
  }

  get #under(): OuterRound {
    invariant(this.#round !== null, 'a group begins a round before its first frame');
    return this.#round;
  }

  #check({ run, to, from, group, kind, boundary, epoch, round, attempt }: FrameHeader): void {
    const { identity, seats } = this.#setup;
    const own = identity.publicKey;
    if (run !== this.#setup.run || to !== own || group !== own) throw misplaced('it is for somebody else');
    const last = kind !== 'backward';
    const sender = last ? seats.keepers.at(-1)! : seats.keepers[0]!;
    if (from !== sender.id || boundary !== (last ? seats.keepers.length : 0)) {
      throw misplaced('it is not from the part next to this');
    }
    const under = this.#under;
    if (epoch !== under.epoch || round !== under.round || attempt !== under.attempt) {
      throw misplaced('it is not of this attempt');
    }
  }

  /** Sends a frame and waits for what comes of it. */
  async #exchange(kind: FrameKind, frame: Frame, { context, target }: Batch, step: number): Promise<Frame> {
    const { run, identity, seats, frames, send } = this.#setup;
    const { epoch, round, attempt } = this.#under;
    const back = kind === 'backward';
    const to = (back ? seats.keepers.at(-1)! : seats.keepers[0]!).id;
    const own = identity.publicKey;
    const header: FrameHeader = {
      ...{ run, kind, epoch, round, attempt, step, group: own, from: own, to, type: frames },
      boundary: back ? seats.keepers.length : 0,
      rows: frame.rows,
      width: frame.width,
      context: context.rows.length,
      target: target.rows.length,
      sequence: this.#sequence++,
    };
    const bytes = sealFrame(frame, header, this.#links.with(to)!, identity);
    this.#sentBytes += bytes.byteLength;
    const answer = new Promise<Frame>((resolve) => this.#waiting.set(keyOf(kind, step), { resolve }));
    const [answered] = await Promise.all([answer, send(bytes)]);
    return answered;
  }
}

function keyOf(kind: FrameKind, step: number): string {
  return `${kind} ${step}`;
}
