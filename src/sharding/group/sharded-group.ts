import { PluralError } from '../../core/errors.ts';
import type { Batch } from '../../predictor/batch.ts';
import { feedsOf } from '../../predictor/gpo/inputs.ts';
import type { KeyPair } from '../../privacy/secure-sum/key-agreement.ts';
import type { SignedGreeting } from '../../wire/greeting.ts';
import type { Identity } from '../../wire/identity.ts';
import type { FrameHeader, FrameType } from '../../wire/shard-frame.ts';
import {
  Introductions,
  type IntroductionsMemory,
  type LateSeats,
  NOBODY_LATE,
} from '../frames/introductions.ts';
import { Link } from '../frames/link.ts';
import { boundOf, Links, type LinksMemory } from '../frames/links.ts';
import { misplaced } from '../frames/misplaced.ts';
import { openFrame, readFrame, sealFrame } from '../frames/sealed-frame.ts';
import {
  canKeep,
  checkSeats,
  firstKeeping,
  type Keeping,
  linkedWith,
  type Newcomer,
  type Seats,
} from '../frames/seats.ts';
import type { Front } from '../parts/front.ts';
import type { Head } from '../parts/head.ts';
import type { Floats, Frame } from '../parts/part-session.ts';

/** What a group sends: frames of its front, and gradients of its head. */
type SentKind = Exclude<FrameHeader['kind'], 'probe'>;

/** What a frame becomes before it leaves a group. */
export type Blur = (frame: Frame, at: Pick<FrameHeader, 'kind' | 'round' | 'attempt' | 'step'>) => Frame;

/** What a group goes on from. */
export interface GroupLinks {
  readonly links: LinksMemory;
  readonly introductions: IntroductionsMemory;
}

/** What a group's side of a sharded model is opened with. */
export interface ShardedGroupSetup {
  /** Digest of the run. */
  readonly run: string;
  readonly identity: Identity;
  /** X25519 keys of this run, of which only the links that come of them are kept; null of who came after it began; or what `memory` gave. */
  readonly keys: KeyPair | GroupLinks | null;
  /** Those of the beginning. */
  readonly seats: Seats;
  /** Who may come later; left out: nobody. */
  readonly late?: LateSeats;
  /** Front and head, in sessions that this group may share with others of one process. */
  readonly front: Front;
  readonly head: Head;
  /** Width of the vectors between parts. */
  readonly width: number;
  readonly frames: FrameType;
  /** Hands a frame to whoever carries it; a failure to do so fails what waits for the answer. */
  readonly send: (frame: Uint8Array) => Promise<void>;
  /** Changes frames before they leave, for instance by noise; left out: as they are. */
  readonly blur?: Blur;
  /** Stores what `memory` gives from now on, in place of what it gave before, which opens old frames; left out: nothing is stored. */
  readonly keep?: (links: GroupLinks) => void;
}

/** Where a group stands in a run, and the parameters of front and head that it begins a round with. */
export interface OuterRound {
  readonly epoch: number;
  readonly round: number;
  readonly attempt: number;
  /** Who keeps the stages; left out: who kept them before, in the beginning the first keepers. */
  readonly keeping?: Keeping;
  readonly front: Floats;
  readonly head: Floats;
}

/** A round, or predictions, that a group has begun. */
interface Under {
  readonly round: number;
  readonly attempt: number;
  readonly front: Front;
  readonly head: Head;
}

interface Waiting {
  /** Rows that the answer has. */
  readonly rows: number;
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: unknown) => void;
}

/** Links with all who may keep the stages at both ends. Errors: FRAME_REFUSED; STAGE_TAKEN for other seats than before. */
function openLinks({ keys, identity, seats, ...setup }: ShardedGroupSetup): Links {
  const bound = boundOf({ ...setup, seats });
  if (keys === null) return new Links(new Map(), bound);
  if (!('agree' in keys)) return Links.of(keys.links, bound);
  const own = { id: identity.publicKey, keys };
  const links = linkedWith(seats, own.id).map((end) => [end.id, Link.between(bound, own, end)] as const);
  return new Links(new Map(links), bound);
}

/**
 * A group's side of a sharded model: front and head, between which frames go through the keepers. Answers never leave the head, and
 * questions never the front; what frames and gradients tell of them, docs/threat-model.md says.
 */
export class ShardedGroup {
  readonly #setup: Omit<ShardedGroupSetup, 'keys' | 'seats' | 'late'>;
  /** In the last epoch of which a frame opened. */
  readonly #links: Links;
  /** In the epoch that is said to be under way, until a frame of it opens. */
  #ahead: Links | null = null;
  readonly #introductions: Introductions;
  readonly #waiting = new Map<string, Waiting>();
  #under: Under | null = null;
  #keeping: Keeping;
  #sequence = 0;
  #queries = 0;
  #sentBytes = 0;
  #receivedBytes = 0;

  /** Errors: STAGE_TAKEN and SIGNATURE_INVALID of the seats; FRAME_REFUSED where a keeper's key is none. */
  constructor(setup: ShardedGroupSetup) {
    const { keys, seats, late = NOBODY_LATE, ...kept } = setup;
    const { run, identity } = kept;
    checkSeats(run, seats);
    this.#setup = kept;
    this.#links = openLinks(setup);
    const met = { run, identity, seats, bound: boundOf(setup), links: this.#links, late };
    const memory = keys !== null && 'introductions' in keys ? keys.introductions : undefined;
    this.#introductions = new Introductions(met, memory);
    this.#keeping = firstKeeping(seats);
  }

  /** Public key of the group. */
  get id(): string {
    return this.#setup.identity.publicKey;
  }

  /** Bytes of the frames that it sent and received so far. */
  get traffic(): { readonly sent: number; readonly received: number } {
    return { sent: this.#sentBytes, received: this.#receivedBytes };
  }

  /**
   * Begins a round, or (in round 0) takes over parameters to predict with; moments start afresh, and what waits for an answer is given up.
   * An epoch is believed once a frame of it opens: until then another one may be said.
   * Errors: ROUND_REFUSED for an epoch before the last that was believed, and for keepers without a seat.
   */
  begin({ epoch, round, attempt, keeping = this.#keeping, front, head }: OuterRound): void {
    if (!canKeep(this.#introductions.seats, keeping)) {
      throw new PluralError(
        'ROUND_REFUSED',
        'the stages are said to be kept by others than those of the run',
        {
          hint: 'The aggregator says something else than before: do not go on before it is explained.',
        },
      );
    }
    const ahead = epoch === this.#links.epoch ? null : this.#links.copyAt(epoch);
    this.giveUp();
    this.#ahead = ahead;
    this.#keeping = keeping;
    const { front: fronts, head: heads } = this.#setup;
    this.#under = { round, attempt, front: fronts.fork(front), head: heads.fork(head) };
  }

  /** Gives up what is under way: a step that waits for an answer ends with ROUND_REFUSED. */
  giveUp(): void {
    this.#under = null;
    this.#ahead?.forget();
    this.#ahead = null;
    for (const { reject } of this.#waiting.values()) reject(givenUp());
    this.#waiting.clear();
  }

  /** One training step on a task, through all parts and back; its loss. Errors: ROUND_REFUSED where it was given up; those of the parts and of who carries frames. */
  async step(batch: Batch, step: number, learningRate: number): Promise<number> {
    const under = this.#begun();
    const { front, head } = under;
    const feeds = feedsOf(batch);
    const x = await this.#exchange(under, 'forward', await front.forward(feeds), batch, step);
    const { loss, dx } = await head.backward(x, feeds);
    const dy = await this.#exchange(under, 'backward', dx, batch, step);
    await front.backward(feeds, dy);
    front.step(learningRate);
    head.step(learningRate);
    return loss;
  }

  /** Predicted share of each target point, [T], through the keepers. Errors: as of a step. */
  async predict(batch: Batch): Promise<Floats> {
    const under = this.#begun();
    const feeds = feedsOf(batch);
    const y = await under.front.forward(feeds);
    const x = await this.#exchange(under, 'query', y, batch, this.#queries++);
    return under.head.predict(x, feeds);
  }

  /** Whether it has links with who keeps the stages at both ends. */
  knows(keeping: Keeping): boolean {
    return this.#introductions.knows([keeping[0]!, keeping.at(-1)!]);
  }

  /** Takes note of all who came after the run began; whether they are more than before. Errors: STAGE_TAKEN, SIGNATURE_INVALID. */
  admit(newcomers: readonly Newcomer[]): boolean {
    return this.#introductions.admit(newcomers);
  }

  /** Its greetings to keepers that were there before it, as long as they are not answered. */
  greetings(): readonly Uint8Array[] {
    return this.#introductions.greetings();
  }

  /** Takes in a greeting in the latest epoch that the aggregator said; the answer to it, if there is one. Errors: FRAME_REFUSED, SIGNATURE_INVALID. */
  greet(greeting: SignedGreeting, epoch: number): Uint8Array | null {
    return this.#introductions.receive(greeting, epoch);
  }

  /** What its links are to be opened with again. */
  memory(): GroupLinks {
    return this.#memoryOf(this.#links);
  }

  /** Front and head now, float64. */
  parameters(): { readonly front: Float64Array; readonly head: Float64Array } {
    const { front, head } = this.#begun();
    return { front: front.masters(), head: head.masters() };
  }

  /** Takes in a frame that was carried here. Errors: FRAME_REFUSED, NOT_FINITE; one that nobody waits for is dropped. */
  receive(bytes: Uint8Array): void {
    const frame = readFrame(bytes);
    const { header } = frame;
    this.#check(header);
    const key = keyOf(header);
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    if (header.rows !== waiting.rows || header.width !== this.#setup.width) {
      throw misplaced('it is of another shape');
    }
    this.#waiting.delete(key);
    this.#receivedBytes += bytes.byteLength;
    try {
      const opened = openFrame(frame, this.#current.with(header.from)!);
      this.#believe();
      waiting.resolve(opened);
    } catch (thrown) {
      waiting.reject(thrown);
      throw thrown;
    }
  }

  get #current(): Links {
    return this.#ahead ?? this.#links;
  }

  /** The epoch is under way: nobody but a keeper of it could have sealed what opened. The one before is forgotten. */
  #believe(): void {
    if (this.#ahead === null) return;
    const { epoch } = this.#ahead;
    // With whoever it got to know meanwhile.
    const links = this.#links.copyAt(epoch);
    this.#setup.keep?.(this.#memoryOf(links));
    links.forget();
    this.#links.advanceTo(epoch);
    this.#ahead.forget();
    this.#ahead = null;
  }

  #memoryOf(links: Links): GroupLinks {
    return { links: links.memory(), introductions: this.#introductions.memory() };
  }

  #begun(): Under {
    if (this.#under === null) throw givenUp();
    return this.#under;
  }

  #check({ run, to, from, group, kind, boundary, epoch, round, attempt }: FrameHeader): void {
    const keeping = this.#keeping;
    const own = this.#setup.identity.publicKey;
    if (run !== this.#setup.run || to !== own || group !== own) throw misplaced('it is for somebody else');
    const last = kind !== 'backward';
    const sender = keeping.at(last ? -1 : 0)!;
    if (from !== sender || boundary !== (last ? keeping.length : 0)) {
      throw misplaced('it is not from the part next to this');
    }
    const under = this.#begun();
    if (epoch !== this.#current.epoch || round !== under.round || attempt !== under.attempt) {
      throw misplaced('it is not of this attempt');
    }
  }

  /** Sends what leaves a part, and waits for what comes of it. */
  async #exchange(
    under: Under,
    kind: SentKind,
    frame: Frame,
    { context, target }: Batch,
    step: number,
  ): Promise<Frame> {
    const { run, identity, frames, width, send, blur } = this.#setup;
    const keeping = this.#keeping;
    if (this.#under !== under) throw givenUp();
    const { round, attempt } = under;
    const back = kind === 'backward';
    const to = keeping.at(back ? -1 : 0)!;
    const own = identity.publicKey;
    const link = this.#current.with(to)!;
    const header: FrameHeader = {
      ...{
        run,
        kind,
        epoch: link.epoch,
        round,
        attempt,
        step,
        group: own,
        from: own,
        to,
        type: frames,
        width,
      },
      boundary: back ? keeping.length : 0,
      rows: frame.rows,
      context: context.rows.length,
      target: target.rows.length,
      sequence: this.#sequence++,
    };
    const bytes = sealFrame(blur?.(frame, header) ?? frame, header, link, identity);
    this.#sentBytes += bytes.byteLength;
    const rows = back ? header.context + header.target : header.target;
    const answer = new Promise<Frame>((resolve, reject) => {
      this.#waiting.set(keyOf(header), { rows, resolve, reject });
    });
    const [answered] = await Promise.all([answer, send(bytes)]);
    if (this.#under !== under) throw givenUp();
    return answered;
  }
}

function keyOf({ kind, step }: Pick<FrameHeader, 'kind' | 'step'>): string {
  return `${kind} ${step}`;
}

function givenUp(): PluralError {
  return new PluralError('ROUND_REFUSED', 'the attempt of the round was given up', {
    hint: 'The next attempt begins where the round began.',
  });
}
