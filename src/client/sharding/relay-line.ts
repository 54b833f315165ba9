import type { Course, Inbox, KeeperStatus } from '../../wire/sharding.ts';
import type { AggregatorApi } from '../api.ts';
import { isCode } from '../failures.ts';
import { systemSleep } from '../retry.ts';

/** What a line asks of the aggregator. */
export type RelayApi = Pick<AggregatorApi, 'relay' | 'inbox'>;

/** Who takes in what comes from the relay; each must not throw. */
export interface LineHandlers {
  frame(bytes: Uint8Array): void;
  order?(order: NonNullable<Inbox['order']>): void;
  /** Told when it is another one, and when the relay is another one: then of none. */
  course(course: Course | null): void;
  /** Told how many have taken a seat since the run began, before the frames and the order that came with it. */
  newcomers?(count: number): void;
  /** After each answer of the relay, also where nothing was new. */
  turn?(): void;
  /** The relay began anew: what was on its way is lost, and it knows nothing. */
  relay?(): void;
  /** Resolves when all that was handed over is worked on: before that nothing more is fetched, and it waits where its senders are held back. */
  idle?(): Promise<void>;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** What one request carries at most, but for one frame that is longer. */
const REQUEST_BYTES = 4 * 2 ** 20;
const REQUEST_FRAMES = 512;
/** Before a run begins there is no relay. */
const NOT_BEGUN_MS = 500;

/** A participant's line to the relay of a sharded run: sends frames in their order, and hands over what comes. */
export class RelayLine {
  readonly #api: RelayApi;
  readonly #handlers: LineHandlers;
  readonly #signal: AbortSignal;
  #relay = '';
  #after = 0;
  #order = 0;
  #course: Course | null = null;
  #newcomers = 0;
  #ready: string | null = null;
  #news = false;
  #outgoing: Bytes[] = [];
  #status: KeeperStatus | null = null;
  #sending: Promise<void> | null = null;

  constructor(api: RelayApi, handlers: LineHandlers, signal: AbortSignal) {
    this.#api = api;
    this.#handlers = handlers;
    this.#signal = signal;
  }

  /** Sends frames, and what a keeper says of itself after them; resolves when the relay has them. Errors: those of the API. */
  send(frames: readonly Uint8Array[], status: KeeperStatus | null = null): Promise<void> {
    this.#outgoing.push(...frames.map((frame) => new Uint8Array(frame)));
    if (status !== null) this.#status = status;
    // A part of the same request goes with what is sent already: the rest follows it.
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  /** Says in which round and opening a group is ready to train; null: in none. Errors: as `send`. */
  ready(what: string | null): Promise<void> {
    this.#ready = what;
    this.#news = true;
    return this.send([]);
  }

  /** Fetches what comes until the signal fires. Errors: INTERRUPTED, and those of the API. */
  async listen(): Promise<never> {
    for (;;) {
      const inbox = await this.#fetch();
      if (inbox === null) await systemSleep(NOT_BEGUN_MS, this.#signal);
      else this.#handOver(inbox);
      this.#handlers.turn?.();
      await this.#handlers.idle?.();
    }
  }

  async #fetch(): Promise<Inbox | null> {
    const query = {
      relay: this.#relay,
      after: this.#after,
      course: this.#course?.version ?? 0,
      order: this.#order,
      newcomers: this.#newcomers,
    };
    try {
      return await this.#api.inbox(query, this.#signal);
    } catch (thrown) {
      if (!isCode(thrown, ['ROUND_REFUSED'])) throw thrown;
      return null;
    }
  }

  #handOver({ relay, last, frames, newcomers, order, course }: Inbox): void {
    if (relay !== this.#relay) {
      this.#relay = relay;
      this.#order = 0;
      this.#course = null;
      this.#handlers.course(null);
      this.#news ||= this.#ready !== null;
      this.#handlers.relay?.();
      // Whoever waits for what is sent hears of its failure; here the next request meets the same one.
      if (this.#news) this.send([]).catch(() => undefined);
    }
    this.#after = last;
    if (newcomers !== this.#newcomers) {
      this.#newcomers = newcomers;
      this.#handlers.newcomers?.(newcomers);
    }
    for (const frame of frames) this.#handlers.frame(frame);
    if (order !== null && order.number !== this.#order) {
      this.#order = order.number;
      this.#handlers.order?.(order);
    }
    if (course !== null && course.version !== this.#course?.version) {
      this.#course = course;
      this.#handlers.course(course);
    }
  }

  async #sendAll(): Promise<void> {
    while (this.#outgoing.length > 0 || this.#status !== null || this.#news) {
      const frames = this.#nextFrames();
      // What it says of itself holds after all frames that were there.
      const status = this.#outgoing.length === 0 ? this.#status : null;
      if (status !== null) this.#status = null;
      this.#news = false;
      await this.#api.relay({ relay: this.#relay, status, ready: this.#ready, frames });
    }
  }

  #nextFrames(): Bytes[] {
    let [count, bytes] = [0, 0];
    for (const frame of this.#outgoing) {
      bytes += frame.byteLength;
      if (count > 0 && (bytes > REQUEST_BYTES || count === REQUEST_FRAMES)) break;
      count++;
    }
    return this.#outgoing.splice(0, count);
  }
}
