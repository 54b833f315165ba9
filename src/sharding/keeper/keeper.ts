import { invariant } from '../../core/errors.ts';
import type { FrameHeader } from '../../wire/shard-frame.ts';
import type { Links } from '../frames/links.ts';
import { misplaced } from '../frames/misplaced.ts';
import { openFrame, readFrame, type SealedFrame, sealFrame } from '../frames/sealed-frame.ts';
import { checkSeats, sidesOf } from '../frames/seats.ts';
import { morphFrom } from '../parts/morph.ts';
import type { Frame } from '../parts/part-session.ts';
import { type PartMemory, wipe } from '../parts/part-state.ts';
import { boundedGradients, checkGradient } from './gradients.ts';
import { Probe, type ProbePhase, type ProbeVerdict } from './probe.ts';
import {
  checkOrder,
  type OpenedFrame,
  RoundLedger,
  type RoundOrder,
  type RoundPlace,
  refusedOrder,
} from './round-ledger.ts';
import { checkRoute } from './route.ts';
import { type KeeperMemory, type KeeperSetup, openLinks } from './setup.ts';

type TaskId = Pick<FrameHeader, 'round' | 'attempt' | 'step' | 'group' | 'context' | 'target'>;
type Route = Pick<FrameHeader, 'boundary' | 'to'>;

/** A round that is over: no attempt of it begins again. */
const OVER = Number.MAX_SAFE_INTEGER;

/**
 * Keeps one stage: takes in sealed frames and gives those that follow from them. It decides nothing of a run's course; what it is ordered to do that does not
 * fit is refused, and nothing of its stage is changed. Gradients of a step are added in the order of its groups, so that the order in which
 * frames come changes no bit.
 */
export class Keeper {
  readonly #setup: Omit<KeeperSetup, 'keys' | 'secret'>;
  readonly #id: string;
  readonly #index: number;
  readonly #links: Links;
  readonly #probe: Probe;
  #place: RoundPlace = { round: 0, attempt: OVER };
  #round: RoundLedger | null = null;
  /** The stage when the round began. */
  #begun: PartMemory;
  /** The stage before the morph that is not settled; null where there is none. */
  #unturned: PartMemory | null = null;
  #sequence = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** Errors: STAGE_TAKEN and SIGNATURE_INVALID of the seats; FRAME_REFUSED where a neighbour's key is none. */
  constructor(setup: KeeperSetup) {
    const { keys, secret: _, ...kept } = setup;
    const { seats, identity, stage, run, width } = kept;
    checkSeats(run, seats);
    this.#setup = kept;
    this.#id = identity.publicKey;
    this.#index = seats.keepers.findIndex(({ id }) => id === this.#id);
    invariant(seats.keepers[this.#index]?.agreementKey === keys.publicKey, 'a keeper has its own seat');
    this.#links = openLinks(setup, this.#index);
    this.#probe = new Probe(width);
    this.#begun = stage.memory();
  }

  get epoch(): number {
    return this.#links.epoch;
  }

  /** Whether all steps of the round are taken. */
  get done(): boolean {
    return this.#round?.done ?? false;
  }

  /** What the last keeper found in the probes around a morph; null before, and at the others. */
  get verdict(): ProbeVerdict | null {
    return this.#probe.verdict;
  }

  /**
   * Begins an attempt: of a later round, from the stage as the last one that was taken to its end left it; of the same round, from where that began, as often as it takes.
   * Errors: ROUND_REFUSED for an earlier one, for an order that none can be, and while a morph is not settled.
   */
  begin(order: RoundOrder): Promise<void> {
    return this.#inTurn(() => {
      const { round, attempt } = this.#place;
      const again = order.round === round && order.attempt > attempt;
      if (this.#unturned !== null || !(order.round > round || again)) {
        throw refusedOrder(`attempt ${order.attempt} of round ${order.round} cannot begin now`);
      }
      checkOrder(
        order,
        this.#setup.seats.groups.map(({ id }) => id),
      );
      // A round that was given up in the middle leaves nothing.
      if (again || (this.#round !== null && !this.#round.done)) this.#setup.stage.restore(this.#begun);
      else this.#remember();
      this.#place = { round: order.round, attempt: order.attempt };
      this.#round = new RoundLedger(order);
    });
  }

  /** Takes in a frame; the frames that follow from it, sealed for whom their headers name. Errors: FRAME_REFUSED, NOT_FINITE, ENGINE_FAILED. */
  receive(bytes: Uint8Array): Promise<readonly Uint8Array[]> {
    return this.#inTurn(() => this.#take(readFrame(bytes)));
  }

  /** The first keeper's probe of all stages, before (0) or after (1) a morph. */
  probe(phase: ProbePhase): Promise<readonly Uint8Array[]> {
    return this.#inTurn(async () => {
      if (this.#index !== 0 || phase !== this.#phase) throw refusedOrder('no such probe is due here');
      const { x, rows } = this.#probe.input(this.#links.with(this.#id)!.probeKey(), phase);
      const origin = { round: 0, attempt: 0, step: phase, group: this.#id, ...rows };
      return [
        this.#sealed(await this.#setup.stage.forward(x, rows), 'probe', origin, this.#onward(this.#id)),
      ];
    });
  }

  /**
   * Turns the stage for the next epoch: its boundaries with other keepers by keys that they share, the spaces inside by a key of its own. Errors: ROUND_REFUSED
   * in the middle of a round, and while the last morph is not settled.
   */
  turn(): Promise<void> {
    return this.#inTurn(() => {
      if (this.#unturned !== null) throw refusedOrder('the last morph is not settled');
      if (this.#round !== null && !this.#round.done) throw refusedOrder('a round is under way');
      const before = this.#setup.stage.memory();
      this.#links.turn();
      this.#unturned = before;
      try {
        this.#fold();
      } catch (thrown) {
        this.#settle(false);
        throw thrown;
      }
    });
  }

  /** Settles a morph: keeps it and forgets what was before, the round that led to it included; or takes it back. Errors: ROUND_REFUSED where there is none. */
  settle(keep: boolean): Promise<void> {
    return this.#inTurn(() => {
      if (this.#unturned === null) throw refusedOrder('there is no morph to settle');
      this.#settle(keep);
    });
  }

  /** What it has, to go on from between rounds. Faults in the middle of a morph. */
  memory(): KeeperMemory {
    invariant(this.#unturned === null, 'a keeper is remembered in the middle of a morph');
    const { round } = this.#place;
    // Who goes on from it takes no further part in the attempt under way, whose frames it does not know.
    return {
      stage: this.#setup.stage.memory(),
      links: this.#links.memory(),
      place: { round, attempt: OVER },
    };
  }

  /** Goes on from what `memory` gave. */
  restore({ stage, links, place }: KeeperMemory): Promise<void> {
    return this.#inTurn(() => {
      this.#setup.stage.restore(stage);
      this.#links.restore(links);
      this.#place = place;
      this.#round = null;
      this.#unturned = null;
      this.#probe.forget();
      this.#remember();
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

  #remember(): void {
    wipe(this.#begun);
    this.#begun = this.#setup.stage.memory();
  }

  get #phase(): ProbePhase {
    return this.#unturned === null ? 0 : 1;
  }

  #fold(): void {
    const { stage, seats, width } = this.#setup;
    const [before, after] = [seats.keepers[this.#index - 1], seats.keepers[this.#index + 1]];
    const keyWith = (other: string) => this.#links.with(other)!.morphKey();
    if (before !== undefined) stage.foldEntry(morphFrom(keyWith(before.id), width));
    if (after !== undefined) stage.foldExit(morphFrom(keyWith(after.id), width));
    stage.foldInside(keyWith(this.#id));
  }

  #settle(keep: boolean): void {
    const before = this.#unturned!;
    this.#links.settle(keep);
    this.#unturned = null;
    this.#probe.forget();
    if (keep) {
      // What was before must not stay: a stage of two epochs gives away what lies between them.
      this.#round = null;
      this.#place = { ...this.#place, attempt: OVER };
      this.#remember();
    } else this.#setup.stage.restore(before);
    wipe(before);
  }

  async #take(frame: SealedFrame): Promise<readonly Uint8Array[]> {
    const { header } = frame;
    checkRoute(header, { ...this.#setup, id: this.#id, index: this.#index, epoch: this.#links.epoch });
    switch (header.kind) {
      case 'forward':
      case 'backward':
        return this.#train(frame);
      case 'query':
        if (this.#unturned !== null) throw misplaced('a morph is not settled');
        return [this.#passOn(header, await this.#forward(header, this.#open(frame)))];
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
    if (round === null || this.#unturned !== null) throw misplaced('no round is under way');
    round.check(header);
    const opened = { header, frame: this.#open(frame) };
    if (header.kind === 'backward') return this.#trainBack(round, opened);
    if (round.keepForLater(opened)) return [];
    return [await this.#trainThere(round, opened)];
  }

  async #trainThere(round: RoundLedger, opened: OpenedFrame): Promise<Uint8Array> {
    round.arrived(opened);
    return this.#passOn(opened.header, await this.#forward(opened.header, opened.frame));
  }

  async #trainBack(round: RoundLedger, { header, frame }: OpenedFrame): Promise<readonly Uint8Array[]> {
    const { group } = header;
    const x = round.onItsWay(header);
    const { dx, gradient } = await this.#setup.stage.differentiate(x, frame, header);
    checkGradient(gradient);
    round.returned(group, gradient);
    const boundary = this.#index;
    const to = sidesOf(this.#setup.seats, group, boundary).before;
    return [this.#sealed(dx, 'backward', header, { boundary, to }), ...(await this.#endStep(round))];
  }

  /** Once all groups' gradients are there: the step, and what had come of the next one. */
  async #endStep(round: RoundLedger): Promise<readonly Uint8Array[]> {
    const gradients = round.gradients();
    if (gradients === null) return [];
    for (const gradient of boundedGradients(gradients)) this.#setup.stage.add(gradient);
    this.#setup.stage.step(round.learningRate);
    const sent = [];
    for (const waiting of round.next()) sent.push(await this.#trainThere(round, waiting));
    return sent;
  }

  async #passProbe(frame: SealedFrame): Promise<readonly Uint8Array[]> {
    const { header } = frame;
    this.#probe.admit(header, this.#phase);
    const y = await this.#forward(header, this.#open(frame));
    if (this.#index < this.#setup.seats.keepers.length - 1) return [this.#passOn(header, y)];
    this.#probe.ended(this.#phase, y);
    return [];
  }

  #forward({ context, target }: FrameHeader, x: Frame): Promise<Frame> {
    return this.#setup.stage.forward(x, { context, target });
  }

  /** Where a frame goes after this stage. */
  #onward(group: string): Route {
    const boundary = this.#index + 1;
    return { boundary, to: sidesOf(this.#setup.seats, group, boundary).after };
  }

  #passOn(header: FrameHeader, y: Frame): Uint8Array {
    return this.#sealed(y, header.kind, header, this.#onward(header.group));
  }

  #sealed(
    frame: Frame,
    kind: FrameHeader['kind'],
    { round, attempt, step, group, context, target }: TaskId,
    { boundary, to }: Route,
  ): Uint8Array {
    const { run, identity, frames } = this.#setup;
    const link = this.#links.with(to);
    invariant(link !== null, 'frames go on to neighbours');
    const { rows, width } = frame;
    const header: FrameHeader = {
      ...{ run, kind, epoch: link.epoch, round, attempt, step, group, boundary },
      ...{ from: this.#id, to, rows, width, context, target },
      // A probe compares digits.
      type: kind === 'probe' ? 'float32' : frames,
      sequence: this.#sequence++,
    };
    return sealFrame(frame, header, link, identity);
  }
}
