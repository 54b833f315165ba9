import { randomBytes } from 'node:crypto';
import { PluralError } from '../../core/errors.ts';
import { parseGreeting } from '../../sharding/frames/greeting.ts';
import { parseFrame } from '../../sharding/frames/sealed-frame.ts';
import {
  firstKeeping,
  holdersOf,
  type Keeping,
  mayKeep,
  type Newcomer,
  type Seats,
  stageOf,
  withNewcomers,
} from '../../sharding/frames/seats.ts';
import type { FrameHeader } from '../../wire/shard-frame.ts';
import type { Course, Inbox, InboxQuery, KeeperOrder, KeeperStatus, Relayed } from '../../wire/sharding.ts';
import { goesBetween, onlyNewestOf } from './carried.ts';
import { Mailbox } from './mailbox.ts';

/** What one answer carries at most, but for one frame that is longer. */
const ANSWER_BYTES = 8 * 2 ** 20;

/** Where a frame or greeting goes. */
interface Addressed {
  readonly mailbox: Mailbox;
  /** Null of a greeting. */
  readonly header: FrameHeader | null;
  /** As of `Mailbox.put`: who is away needs only the newest stage and greeting. */
  readonly only: string | null;
}

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
  /** When the order was given. */
  orderedAt: number;
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
  /** Those of the beginning. */
  readonly #first: Seats;
  readonly #clock: { now(): number };
  readonly #parties = new Map<string, Party>();
  #newcomers: readonly Newcomer[] = [];
  #seats: Seats;
  /** How far keepers brought the tasks of each group in the attempt that is published. */
  readonly #progress = new Map<string, number>();
  #movedAt = 0;
  #numbers = 0;
  #course: Course | null = null;
  #changes = new Set<() => void>();

  constructor(run: string, seats: Seats, clock: { now(): number }) {
    this.run = run;
    this.#first = seats;
    this.#seats = seats;
    this.#clock = clock;
    this.#welcome();
  }

  /** All seats. */
  get seats(): Seats {
    return this.#seats;
  }

  /** What is told of the seats. */
  get told(): { readonly seats: Seats; readonly newcomers: readonly Newcomer[] } {
    return { seats: this.#first, newcomers: this.#newcomers };
  }

  /** Takes in all who came since the run began, in order. */
  admit(newcomers: readonly Newcomer[]): void {
    if (newcomers.length <= this.#newcomers.length) return;
    this.#newcomers = newcomers;
    this.#seats = withNewcomers(this.#first, newcomers);
    this.#welcome();
    this.changed();
  }

  #welcome(): void {
    for (const { id } of [...mayKeep(this.#seats), ...this.#seats.groups]) {
      if (!this.#parties.has(id)) this.#parties.set(id, newParty());
    }
  }

  /** Takes frames and what a keeper says of itself. Errors: FRAME_REFUSED, RATE_LIMITED, KEY_UNKNOWN. */
  take(from: string, { relay, status, ready, frames }: Relayed): void {
    const party = this.#party(from);
    const addressed = frames.map((frame) => ({ frame, ...this.#addressed(from, frame) }));
    for (const { frame, mailbox, header, only } of addressed) {
      mailbox.put(frame, from, only);
      if (header !== null) this.#note(header);
    }
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

  /** Whether somebody asks for its frames, or did within some time; who leaves an order without an answer for so long is as good as not there. */
  isThere(id: string, patienceMs: number): boolean {
    const { waiting, seenAt, order, orderedAt, status } = this.#party(id);
    const now = this.#clock.now();
    const answers = order === null || (status?.answered ?? 0) >= order.number || now - orderedAt < patienceMs;
    return answers && (waiting > 0 || now - seenAt < patienceMs);
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
    const party = this.#party(id);
    // Another order does not give more time to who left the last one without an answer.
    const isLate = party.order !== null && (party.status?.answered ?? 0) < party.order.number;
    if (!isLate) party.orderedAt = this.#clock.now();
    party.order = { number, order };
    this.changed();
    return number;
  }

  get course(): Course | null {
    return this.#course;
  }

  /** Groups that others wait for in the training that is published, where nothing has moved for some time; nobody where all are equally far. */
  waitedFor(groups: readonly string[], patienceMs: number): readonly string[] {
    if (this.#clock.now() - this.#movedAt < patienceMs) return [];
    const progress = (id: string) => this.#progress.get(id) ?? -1;
    const farthest = Math.max(...groups.map(progress));
    return groups.filter((id) => progress(id) < farthest);
  }

  /** Tells everybody how the training stands. */
  publish(course: Omit<Course, 'version'>): void {
    this.#progress.clear();
    this.#movedAt = this.#clock.now();
    this.#course = { version: (this.#course?.version ?? 0) + 1, ...course };
    this.changed();
  }

  /** All who may keep a stage. */
  holders(stage: number): readonly string[] {
    return holdersOf(this.seats, stage).map(({ id }) => id);
  }

  /** Who keeps the stages in the beginning. */
  get first(): Keeping {
    return firstKeeping(this.#first);
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
      hint: 'Keepers and groups of a sharded run take a seat when they join.',
    });
  }

  /** Whom a frame is for. Errors: FRAME_REFUSED for frames of others or of another run, and for who has no such seat. */
  #addressed(from: string, frame: Uint8Array): Addressed {
    // Who sent it signed the request that it came in; who gets it checks the frame's own signature.
    const greeting = parseGreeting(frame)?.greeting;
    const header = greeting === undefined ? parseFrame(frame).header : null;
    const address = greeting ?? header!;
    const to = this.#parties.get(address.to);
    const astray = address.from !== from || address.run !== this.run || to === undefined;
    const [sender, receiver] = [stageOf(this.seats, from), stageOf(this.seats, address.to)];
    if (astray || !goesBetween(address.kind, sender, receiver)) {
      throw new PluralError(
        'FRAME_REFUSED',
        'a frame was refused: it is not of this run, its sender or its seats',
      );
    }
    return { mailbox: to.mailbox, header, only: onlyNewestOf(address) };
  }

  /** What a group says of its own task counts for nothing: it is farther where a keeper hands it on. */
  #note({ kind, from, group, round, attempt, step, boundary }: FrameHeader): void {
    const place = this.#course?.training?.place;
    if (place?.round !== round || place.attempt !== attempt || from === group) return;
    const stages = this.seats.keepers.length;
    const hop = kind === 'forward' ? boundary : kind === 'backward' ? 2 * stages - boundary : null;
    if (hop === null) return;
    const progress = step * (2 * stages + 1) + hop;
    if (progress <= (this.#progress.get(group) ?? -1)) return;
    this.#progress.set(group, progress);
    this.#movedAt = this.#clock.now();
  }

  /** Null where nothing is new. */
  #answer(party: Party, query: InboxQuery): Inbox | null {
    const known = query.relay === this.id;
    const news = this.#news(party, query);
    const { order } = party;
    const isNew =
      !known ||
      news.frames.length > 0 ||
      query.newcomers !== this.#newcomers.length ||
      (order !== null && order.number !== query.order) ||
      (this.#course !== null && this.#course.version !== query.course);
    return isNew ? news : null;
  }

  #news({ mailbox, order }: Party, query: InboxQuery): Inbox {
    const after = query.relay === this.id ? query.after : 0;
    const news = { order, course: this.#course, newcomers: this.#newcomers.length };
    return { relay: this.id, ...mailbox.after(after, ANSWER_BYTES), ...news };
  }
}

function newParty(): Party {
  return {
    mailbox: new Mailbox(),
    seenAt: 0,
    waiting: 0,
    ready: null,
    status: null,
    order: null,
    orderedAt: 0,
  };
}
