import type { SignedGreeting } from '../../wire/greeting.ts';
import type { KeptShare } from '../deposits/kept-shares.ts';
import { depositRefused } from '../deposits/stage-deposit.ts';
import type { Introductions } from '../frames/introductions.ts';
import type { Links } from '../frames/links.ts';
import { misplaced } from '../frames/misplaced.ts';
import { openFrame, readFrame, type SealedFrame } from '../frames/sealed-frame.ts';
import {
  canKeep,
  firstKeeping,
  holdersOf,
  type Keeping,
  mayKeep,
  type Newcomer,
  type Seats,
} from '../frames/seats.ts';
import type { Frame } from '../parts/part-session.ts';
import { wipe } from '../parts/part-state.ts';
import { Deposits, type LeftDeposit, type RevealOrder } from './deposits.ts';
import { KeptStage } from './kept-stage.ts';
import { Outgoing } from './outgoing.ts';
import { Probe, type ProbePhase, type ProbeVerdict } from './probe.ts';
import { checkOrder, type RoundOrder, type RoundPlace, refusedOrder } from './round-ledger.ts';
import { RoundTraining } from './round-training.ts';
import { checkRoute, type Place } from './route.ts';
import { type KeeperMemory, type KeeperParts, type KeeperSetup, openSeat } from './setup.ts';
import { checkStageRoute, frameOfStage, SETTLED, UNSETTLED } from './stage-frame.ts';

/** Far more rounds than a keeper misses: after one that was said to be the last number there is, none could begin. */
const MOST_ROUNDS_AHEAD = 100_000;

/**
 * Keeps one stage: takes in sealed frames and gives those that follow from them. It decides nothing of a run's course; what it is ordered to do that does not
 * fit is refused, and nothing of its stage is changed. Gradients of a step are added in the order of its groups, so that the order in which
 * frames come changes no bit.
 */
export class Keeper {
  readonly #setup: Omit<KeeperParts, 'seats' | 'late'>;
  readonly #id: string;
  readonly #index: number;
  readonly #links: Links;
  readonly #introductions: Introductions;
  readonly #kept: KeptStage;
  readonly #probe: Probe;
  readonly #outgoing: Outgoing;
  readonly #deposits: Deposits;
  #keeping: Keeping;
  #round: RoundTraining | null = null;
  #last: Promise<unknown> = Promise.resolve();

  /** Errors: STAGE_TAKEN and SIGNATURE_INVALID of the seats; FRAME_REFUSED where a neighbour's key is none. */
  constructor(setup: KeeperSetup) {
    const { run, identity, seats, stage, width, frames, most, leastGroups, queries, memory } = setup;
    const { recovery, shares } = setup;
    const kept = { run, identity, stage, width, frames, most, leastGroups };
    this.#setup = { ...kept, ...(queries === undefined ? {} : { queries }) };
    this.#id = identity.publicKey;
    const { links, introductions, index } = openSeat(setup);
    this.#links = links;
    this.#introductions = introductions;
    this.#index = index;
    this.#outgoing = new Outgoing(kept, this.#links, this.#index);
    this.#keeping = memory?.keeping ?? firstKeeping(seats);
    const holds = this.#keeping[this.#index] === this.#id;
    this.#kept = new KeptStage({ stage, links: this.#links, width, holds }, memory);
    this.#probe = new Probe(width);
    const left = { run, identity, width, recovery, shares, introductions };
    this.#deposits = new Deposits(left, this.#links, this.#outgoing);
    queries?.begin(this.place.round);
  }

  /** Number of its stage. */
  get stage(): number {
    return this.#index;
  }

  get epoch(): number {
    return this.#links.epoch;
  }

  /** Whether all steps of the round are taken. */
  get done(): boolean {
    return this.#round?.done ?? false;
  }

  /** The last attempt that it took part in, or whose outcome it knows; of round 0 before the first. */
  get place(): RoundPlace {
    return this.#kept.place;
  }

  /** Whether it could keep its stage: who stands by has it from who keeps it. */
  get holds(): boolean {
    return this.#kept.holds;
  }

  /** Who may keep a stage, and has no link with it yet. */
  get strangers(): readonly string[] {
    const all = mayKeep(this.#seats).map(({ id }) => id);
    return all.filter((id) => !this.#introductions.knows([id]));
  }

  /** Whether a morph is not settled here. */
  get unsettled(): boolean {
    return this.#kept.unsettled;
  }

  /** How far the probes around a morph have come at the last keeper, and what it found. */
  get probed(): { readonly reached: ProbePhase | null; readonly verdict: ProbeVerdict | null } {
    return { reached: this.#probe.reached, verdict: this.#probe.verdict };
  }

  /** What the last keeper found in the probes around a morph; null before, and at the others. */
  found(phase: ProbePhase): Promise<ProbeVerdict | null> {
    return this.#inTurn(() => (this.#probe.reached === phase ? this.#probe.verdict : null));
  }

  /**
   * Says who keeps each stage from now on; what is under way is given up, a training that came to its end is not. Errors: ROUND_REFUSED where somebody has no such seat, where this one is to keep a stage
   * that it does not have, and while a morph is not settled.
   */
  appoint(keeping: Keeping): Promise<void> {
    return this.#inTurn(() => {
      if (this.#kept.unsettled || !canKeep(this.#seats, keeping)) {
        throw refusedOrder('these cannot keep the stages now');
      }
      if (keeping[this.#index] === this.#id && !this.holds) throw refusedOrder('it has no stage to keep');
      if (this.#training) {
        this.#kept.goBack();
        this.#round = null;
      }
      this.#keeping = [...keeping];
    });
  }

  /**
   * Begins an attempt: of a later round, from the stage as the last one that was taken to its end left it; of the same round, from where that began, as often as it takes.
   * Errors: ROUND_REFUSED for an earlier one and for one out of reach, for an order that none can be, and while a morph is not settled.
   */
  begin(order: RoundOrder): Promise<void> {
    return this.#inTurn(() => {
      const { round, attempt } = this.place;
      const again = order.round === round && order.attempt > attempt;
      const later = order.round > round && order.round <= round + MOST_ROUNDS_AHEAD;
      if (this.unsettled || !this.#keeps || !(later || again)) {
        throw refusedOrder(`attempt ${order.attempt} of round ${order.round} cannot begin now`);
      }
      const seated = this.#seats.groups.map(({ id }) => id);
      checkOrder(order, { seated, least: this.#setup.leastGroups });
      // A round that was given up in the middle leaves nothing.
      const place = { round: order.round, attempt: order.attempt };
      this.#kept.begin(place, again || this.#training ? 'where it began' : 'here');
      if (!again) this.#setup.queries?.begin(order.round);
      const { stage } = this.#setup;
      this.#round = new RoundTraining(order, { stage, outgoing: this.#outgoing, keeping: this.#keeping });
    });
  }

  /** Takes in a frame; the frames that follow from it, sealed for whom their headers name. Errors: FRAME_REFUSED, NOT_FINITE, ENGINE_FAILED. */
  receive(bytes: Uint8Array): Promise<readonly Uint8Array[]> {
    return this.#inTurn(() => this.#take(readFrame(bytes)));
  }

  /** The first keeper's probe of all stages, before (0) or after (1) a morph. */
  probe(phase: ProbePhase): Promise<readonly Uint8Array[]> {
    return this.#inTurn(async () => {
      if (this.#index !== 0 || !this.#keeps || phase !== this.#phase) {
        throw refusedOrder('no such probe is due here');
      }
      const { x, rows } = this.#probe.input(this.#links.with(this.#id)!.probeKey(), phase);
      const origin = { round: 0, attempt: 0, step: phase, group: this.#id, ...rows };
      const y = await this.#setup.stage.forward(x, rows);
      return [this.#outgoing.sealed(y, 'probe', origin, this.#outgoing.onward(this.#keeping, this.#id))];
    });
  }

  /**
   * Turns the stage for the next epoch: its boundaries with other keepers by keys that they share, the spaces inside by a key of its own. Errors: ROUND_REFUSED
   * in the middle of a round, and while the last morph is not settled.
   */
  turn(): Promise<void> {
    return this.#inTurn(() => {
      if (this.#training) throw refusedOrder('a round is under way');
      if (!this.#keeps) throw refusedOrder('it only stands by');
      const [before, after] = [this.#keeping[this.#index - 1], this.#keeping[this.#index + 1]];
      this.#kept.turn({ own: this.#id, before, after });
    });
  }

  /** Settles a morph: keeps it and forgets what was before, the round that led to it included; or takes it back. Errors: ROUND_REFUSED where there is none. */
  settle(keep: boolean): Promise<void> {
    return this.#inTurn(() => {
      this.#kept.settle(keep);
      this.#probe.forget();
      this.#deposits.forget();
      if (keep) this.#round = null;
    });
  }

  /** Its stage for all who stand by for it, as it is between rounds or, while a morph is not settled, as it would be. Errors: ROUND_REFUSED in the middle of a round. */
  share(): Promise<readonly Uint8Array[]> {
    return this.#inTurn(() => {
      if (!this.#keeps || this.#training) {
        throw refusedOrder('there is no stage to share now');
      }
      const step = this.unsettled ? UNSETTLED : SETTLED;
      const { round } = this.place;
      const origin = { round, attempt: 0, step, group: this.#id, context: 1, target: 1 };
      const { stage, width } = this.#setup;
      const memory = stage.memory();
      const fellows = holdersOf(this.#seats, this.#index).filter(({ id }) => this.#isFellow(id));
      const frames = fellows.map(({ id }) => {
        const frame = frameOfStage(memory, width);
        return this.#outgoing.sealed(frame, 'memory', origin, { boundary: this.#index, to: id });
      });
      wipe(memory);
      return frames;
    });
  }

  /** Its stage as it is between rounds for the aggregator, which cannot open it; null where the run has no deposits. Errors: ROUND_REFUSED in the middle of a round or a morph. */
  deposit(): Promise<LeftDeposit | null> {
    return this.#inTurn(() => {
      const isWhole = this.#keeps && !this.#training && !this.unsettled;
      if (!isWhole) throw refusedOrder('there is no stage to leave now');
      return this.#deposits.leave(this.#setup.stage.memory(), this.place.round);
    });
  }

  /** Tells its share of a deposit of another stage to a holder of that stage. Errors: ROUND_REFUSED for anybody else, for the own stage, and where it has none. */
  reveal(order: RevealOrder): Promise<readonly Uint8Array[]> {
    return this.#inTurn(() => [this.#deposits.reveal(order)]);
  }

  /** Goes on from a deposit of its stage by what holders of other stages told. Errors: ROUND_REFUSED where it keeps the stage, and of this epoch; DEPOSIT_REFUSED for another one, for one older than what it has, and where it does not open. */
  recover(bytes: Uint8Array, id: string): Promise<void> {
    return this.#inTurn(() => {
      const { header, memory } = this.#deposits.open(bytes, id, this.#kept.size, (told) => {
        // Whose folder is of an epoch that is over has no stage that fits the others any more.
        if (this.#keeps && told.epoch <= this.#links.settledEpoch)
          throw refusedOrder('this stage is kept here');
        const older = this.#kept.olderThanThis(told);
        if (older !== null) throw depositRefused(older);
      });
      this.#kept.takeOver(memory, header);
      this.#taken();
    });
  }

  /** The shares of other stages' deposits that it keeps: another list after each change. */
  get shares(): readonly KeptShare[] {
    return this.#deposits.shares;
  }

  /** Takes note of all who came after the run began; whether they are more than before. Errors: STAGE_TAKEN, SIGNATURE_INVALID. */
  admit(newcomers: readonly Newcomer[]): Promise<boolean> {
    return this.#inTurn(() => this.#introductions.admit(newcomers));
  }

  /**
   * Its greetings to those who were there before it, as long as they are not answered; and where it has no stage of the epoch that is under way, what shows those who may tell it of one
   * that others know it.
   */
  greetings(epoch: number): Promise<readonly Uint8Array[]> {
    return this.#inTurn(() => {
      if (this.unsettled) return [];
      const greetings = this.#introductions.greetings();
      const lacks = !this.holds || this.epoch < epoch;
      return lacks ? [...greetings, ...this.#introductions.vouched()] : greetings;
    });
  }

  /** Takes in a greeting in the latest epoch that the aggregator said; the answer to it, if there is one. Errors: FRAME_REFUSED, ROUND_REFUSED, SIGNATURE_INVALID. */
  greet(greeting: SignedGreeting, epoch: number): Promise<Uint8Array | null> {
    return this.#inTurn(() => {
      if (this.unsettled) throw refusedOrder('a morph is not settled');
      const before = this.epoch;
      const answer = this.#introductions.receive(greeting, epoch);
      if (this.epoch !== before) {
        this.#kept.fellBehind();
        this.#deposits.forget();
      }
      return answer;
    });
  }

  /** Grows when those change whom it knows. */
  get acquainted(): number {
    return this.#introductions.changes;
  }

  /** Its links and those who came later, as they are to be remembered beside what was stored of the stage. Faults in the middle of a morph. */
  acquaintances(): Pick<KeeperMemory, 'links' | 'introductions' | 'holds'> {
    const introductions = this.#introductions.memory();
    return { links: this.#links.memory(), introductions, holds: this.holds };
  }

  /** What it has, to go on from between rounds. Faults in the middle of a morph. */
  memory(): KeeperMemory {
    const introductions = this.#introductions.memory();
    return { ...this.#kept.memory(), keeping: this.#keeping, introductions };
  }

  /** Goes on from what `memory` gave. */
  restore({ keeping, introductions: _, ...memory }: KeeperMemory): Promise<void> {
    return this.#inTurn(() => {
      this.#kept.restore(memory);
      this.#round = null;
      this.#keeping = keeping;
      this.#probe.forget();
    });
  }

  close(): Promise<void> {
    return this.#inTurn(() => this.#setup.stage.close());
  }

  /** One thing after the other, in the order in which they were asked for. */
  #inTurn<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  get #keeps(): boolean {
    return this.holds && this.#keeping[this.#index] === this.#id;
  }

  get #seats(): Seats {
    return this.#introductions.seats;
  }

  /** Whether somebody else can be told of its stage: there is no link yet with who has just come. */
  #isFellow(id: string): boolean {
    return id !== this.#id && this.#links.with(id) !== null && this.#introductions.isVouchedFor(id);
  }

  /** Whether a round is under way. */
  get #training(): boolean {
    return this.#round !== null && !this.#round.done;
  }

  get #where(): Place {
    const { epoch } = this.#links;
    const seats = this.#seats;
    return { ...this.#setup, seats, id: this.#id, index: this.#index, keeping: this.#keeping, epoch };
  }

  get #phase(): ProbePhase {
    return this.unsettled ? 1 : 0;
  }

  async #take(frame: SealedFrame): Promise<readonly Uint8Array[]> {
    const { header } = frame;
    if (header.kind === 'memory') {
      checkStageRoute(header, this.#where);
      this.#takeStage(frame);
      return [];
    }
    if (header.kind === 'share') {
      this.#deposits.take(frame, this.#keeping);
      return [];
    }
    checkRoute(header, this.#where);
    if (!this.#keeps) throw misplaced('it only stands by');
    switch (header.kind) {
      case 'forward':
      case 'backward':
        return this.#train(frame);
      case 'query':
        if (this.unsettled) throw misplaced('a morph is not settled');
        this.#setup.queries?.count(header.group);
        return [await this.#passOn(frame)];
      case 'probe':
        return this.#passProbe(frame);
    }
  }

  #open(frame: SealedFrame): Frame {
    return openFrame(frame, this.#links.with(frame.header.from)!);
  }

  async #train(frame: SealedFrame): Promise<readonly Uint8Array[]> {
    const { header } = frame;
    const round = this.#round;
    if (round === null || this.unsettled) throw misplaced('no round is under way');
    round.check(header);
    return round.take({ header, frame: this.#open(frame) });
  }

  async #passProbe(frame: SealedFrame): Promise<readonly Uint8Array[]> {
    const { header } = frame;
    this.#probe.admit(header, this.#phase);
    if (this.#index < this.#keeping.length - 1) return [await this.#passOn(frame)];
    this.#probe.ended(this.#phase, await this.#forward(frame));
    return [];
  }

  /** What comes of a frame in this stage. */
  #forward(frame: SealedFrame): Promise<Frame> {
    return this.#setup.stage.forward(this.#open(frame), frame.header);
  }

  async #passOn(frame: SealedFrame): Promise<Uint8Array> {
    return this.#outgoing.passedOn(await this.#forward(frame), frame.header, this.#keeping);
  }

  #takeStage(frame: SealedFrame): void {
    if (this.#keeps) throw misplaced('this stage is kept here');
    this.#kept.take(frame);
    if (!this.unsettled) this.#taken();
  }

  /** Another stage is here than what was under way was about. */
  #taken(): void {
    this.#round = null;
    this.#probe.forget();
    this.#deposits.forget();
  }
}
