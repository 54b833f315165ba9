import { randomBytes } from 'node:crypto';
import { PluralError } from '../../core/errors.ts';
import { parseFrame } from '../../sharding/frames/sealed-frame.ts';
import { firstKeeping, holdersOf, type Keeping, type Seats, stageOf } from '../../sharding/frames/seats.ts';
import type { Course, Inbox, KeeperOrder, KeeperStatus, Relayed } from '../../wire/sharding.ts';
import { Mailbox } from './mailbox.ts';

/** What one answer carries at most, but for one frame that is longer. */
const ANSWER_BYTES = 8 * 2 ** 20;

/** A participant, as far as the relay knows it. */
interface Party {
  readonly mailbox: Mailbox;
  /** When it last asked for its frames; 0 before. */
  seenAt: number;
  /** Requests of it that wait. */
  waiting: number;
  /** The round and opening that a group is ready to train in. */
  ready: string | null;
  status: KeeperStatus | null;
  order: { readonly number: number; readonly order: KeeperOrder } | null;
}

/** What a participant asks for: what is new since what it has. */
export interface InboxQuery {
  readonly relay: string;
  /** Number of the last frame that it has. */
  readonly after: number;
  /** Version of the course that it knows; 0: none. */
  readonly course: number;
  /** Number of the order that it knows; 0: none. */
  readonly order: number;
}

/**
 * Carries the sealed frames of one sharded run between its seats, in memory: what is lost with the process is sent again in the next attempt. It reads
 * where a frame goes and who signed it, and nothing of what is in it.
 */
export class RunRelay {
  /** Another process numbers anew. */
  readonly id = randomBytes(16).toString('hex');
  /** Digest of the run. */
  readonly run: string;
  readonly seats: Seats;
  readonly #clock: { now(): number };
  readonly #parties: ReadonlyMap<string, Party>;
  #numbers = 0;
  #course: Course | null = null;
  #changes = new Set<() => void>();

  constructor(run: string, seats: Seats, clock: { now(): number }) {
    this.run = run;
    this.seats = seats;
    this.#clock = clock;
    const standbys = seats.standbys.map(({ seat }) => seat);
    const all = [...seats.keepers, ...standbys, ...seats.groups];
    this.#parties = new Map(all.map(({ id }) => [id, newParty()]));
  }

  /** Takes frames and what a keeper says of itself. Errors: FRAME_REFUSED, RATE_LIMITED, KEY_UNKNOWN. */
  take(from: string, { relay, status, ready, frames }: Relayed): void {
    const party = this.#party(from);
    const addressed = frames.map((frame) => ({ frame, mailbox: this.#mailboxOf(from, frame) }));
    for (const { frame, mailbox } of addressed) mailbox.put(frame);
    if (relay === this.id) {
      party.status = status ?? party.status;
      party.ready = ready;
    }
    this.changed();
  }

  /** What is new for a participant, at once or as soon as there is something, and at the latest when the signal fires. Errors: KEY_UNKNOWN. */
  async inbox(id: string, query: InboxQuery, signal: AbortSignal): Promise<Inbox> {
    const party = this.#party(id);
    party.waiting++;
    try {
      for (;;) {
        party.seenAt = this.#clock.now();
        const answer = this.#answer(party, query);
        if (answer !== null) return answer;
        if (signal.aborted) return this.#news(party, query);
        await this.change(60_000, signal);
      }
    } finally {
      party.waiting--;
      party.seenAt = this.#clock.now();
    }
  }

  /** Whether somebody asks for its frames, or did within some time. */
  isThere(id: string, patienceMs: number): boolean {
    const { waiting, seenAt } = this.#party(id);
    return waiting > 0 || this.#clock.now() - seenAt < patienceMs;
  }

  isReady(id: string, what: string): boolean {
    return this.#party(id).ready === what;
  }

  /** What a keeper last said of itself to this relay. */
  statusOf(id: string): KeeperStatus | null {
    return this.#party(id).status;
  }

  /** Asks something of a keeper; the number that its status answers. */
  order(id: string, order: KeeperOrder): number {
    const number = ++this.#numbers;
    this.#party(id).order = { number, order };
    this.changed();
    return number;
  }

  get course(): Course | null {
    return this.#course;
  }

  /** Tells everybody how the training stands. */
  publish(course: Omit<Course, 'version'>): void {
    this.#course = { version: (this.#course?.version ?? 0) + 1, ...course };
    this.changed();
  }

  /** All who may keep a stage. */
  holders(stage: number): readonly string[] {
    return holdersOf(this.seats, stage).map(({ id }) => id);
  }

  /** Who keeps the stages in the beginning. */
  get first(): Keeping {
    return firstKeeping(this.seats);
  }

  /** Wakes those who wait for something. */
  changed(): void {
    const changes = this.#changes;
    this.#changes = new Set();
    for (const wake of changes) wake();
  }

  /** Resolves at the next change, after some time, or when the signal fires. */
  change(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const wake = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        this.#changes.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      signal?.addEventListener('abort', wake);
      this.#changes.add(wake);
    });
  }

  #party(id: string): Party {
    const party = this.#parties.get(id);
    if (party !== undefined) return party;
    throw new PluralError('KEY_UNKNOWN', 'this key has no seat in the run', {
      hint: 'Keepers and groups of a sharded run join before it begins.',
    });
  }

  /** Whom a frame is for. Errors: FRAME_REFUSED for frames of others or of another run, and for who has no such seat. */
  #mailboxOf(from: string, frame: Uint8Array): Mailbox {
    // Who sent it signed the request that it came in; who gets it checks the frame's own signature.
    const { header } = parseFrame(frame);
    const to = this.#parties.get(header.to);
    const astray = header.from !== from || header.run !== this.run || to === undefined;
    const between = stageOf(this.seats, from) !== null || stageOf(this.seats, header.to) !== null;
    if (astray || !between) {
      throw new PluralError(
        'FRAME_REFUSED',
        'a frame was refused: it is not of this run, its sender or its seats',
      );
    }
    return to.mailbox;
  }

  /** Null where nothing is new. */
  #answer(party: Party, query: InboxQuery): Inbox | null {
    const known = query.relay === this.id;
    const news = this.#news(party, query);
    const { order } = party;
    const isNew =
      !known ||
      news.frames.length > 0 ||
      (order !== null && order.number !== query.order) ||
      (this.#course !== null && this.#course.version !== query.course);
    return isNew ? news : null;
  }

  #news({ mailbox, order }: Party, query: InboxQuery): Inbox {
    const after = query.relay === this.id ? query.after : 0;
    return { relay: this.id, ...mailbox.after(after, ANSWER_BYTES), order, course: this.#course };
  }
}

function newParty(): Party {
  return { mailbox: new Mailbox(), seenAt: 0, waiting: 0, ready: null, status: null, order: null };
}
