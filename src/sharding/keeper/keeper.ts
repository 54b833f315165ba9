import { invariant, PluralError } from '../../core/errors.ts';
import type { KeyPair } from '../../privacy/secure-sum/key-agreement.ts';
import type { Identity } from '../../wire/identity.ts';
import type { FrameHeader, FrameType } from '../../wire/shard-frame.ts';
import { openFrame, readFrame, type SealedFrame, sealFrame } from '../frames/sealed-frame.ts';
import { morphFrom } from '../morph.ts';
import type { Frame } from '../part-session.ts';
import type { PartMemory } from '../part-state.ts';
import type { Stage } from '../stage.ts';
import { Links, type LinksMemory } from './links.ts';
import { Probe, type ProbeVerdict } from './probe.ts';
import { misplaced, type OpenedFrame, RoundLedger, type RoundOrder } from './round-ledger.ts';
import { checkRoute } from './route.ts';
import { checkSeats, type Seats, sidesOf } from './seats.ts';
import { ownKey } from './secret-stage.ts';

/** What a keeper is opened with. */
export interface KeeperSetup {
  /** Digest of the run. */
  readonly run: string;
  readonly identity: Identity;
  /** X25519 keys of this run; the public one stands in the keeper's seat. */
  readonly keys: KeyPair;
  /** 32 bytes that nobody else has: what the inside of the stage is turned by follows from it. */
  readonly secret: Uint8Array;
  readonly seats: Seats;
  readonly stage: Stage;
  /** Width of the vectors between parts. */
  readonly width: number;
  /** Type of the frames that it sends. */
  readonly frames: FrameType;
}

/** All that a keeper goes on from: its stage, and the secrets of its links. */
export interface KeeperMemory {
  readonly stage: PartMemory;
  readonly links: LinksMemory;
}

type TaskId = Pick<FrameHeader, 'round' | 'attempt' | 'step' | 'group' | 'context' | 'target'>;
type Route = Pick<FrameHeader, 'boundary' | 'to'>;

/**
 * Keeps one stage: takes in sealed frames and gives those that follow from them. It decides nothing of a run's course; what it is ordered to do that does not
 * fit is refused, and nothing of its stage is changed. Gradients of a step are added in the order of its groups, so that the order in which
 * frames come changes no bit.
 */
export class Keeper {
  readonly #setup: KeeperSetup;
  readonly #index: number;
  readonly #links: Links;
  readonly #probe: Probe;
  #round: RoundLedger | null = null;
  /** The stage when the round began. */
  #begun: PartMemory;
  /** The stage before the morph that is not settled; null where there is none. */
  #unturned: PartMemory | null = null;
  #sequence = 0;
  readonly #heard = new Map<string, number>();
  #last: Promise<unknown> = Promise.resolve();

  /** Errors: STAGE_TAKEN; FRAME_REFUSED where a neighbour's key is none. */
  constructor(setup: KeeperSetup) {
    const { seats, identity, keys, stage, run, width } = setup;
    checkSeats(seats);
    this.#setup = setup;
    this.#index = seats.keepers.findIndex(({ id }) => id === identity.publicKey);
    invariant(this.#index >= 0, 'a keeper has a seat');
    const others = [seats.keepers[this.#index - 1], seats.keepers[this.#index + 1]].flatMap((seat) =>
      seat === undefined ? [...seats.groups] : [seat],
    );
    this.#links = Links.open(run, { id: identity.publicKey, keys }, others);
    this.#probe = new Probe(width, setup.secret);
    this.#begun = stage.memory();
  }

  /** Number of the stage, from 0. */
  get index(): number {
    return this.#index;
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
   * Begins an attempt: of a later round, from the stage as it is now; of the same round, from where that began, as often as it takes.
   * Errors: ROUND_REFUSED for an earlier one, and while a morph is not settled.
   */
  begin(order: RoundOrder): Promise<void> {
    return this.#inTurn(() => {
      const before = this.#round?.order ?? { round: 0, attempt: 0 };
      const again = order.round === before.round && order.attempt > before.attempt;
      if (this.#unturned !== null || !(order.round > before.round || again)) {
        throw refusedOrder(`attempt ${order.attempt} of round ${order.round} cannot begin now`);
      }
      if (again) this.#setup.stage.restore(this.#begun);
      else this.#begun = this.#setup.stage.memory();
      this.#round = new RoundLedger(order);
    });
  }

  /** Takes in a frame; the frames that follow from it, sealed for whom their headers name. Errors: FRAME_REFUSED, ENGINE_FAILED. */
  receive(bytes: Uint8Array): Promise<readonly Uint8Array[]> {
    return this.#inTurn(() => this.#take(readFrame(bytes)));
  }

  /** The first keeper's probe of all stages, before (0) or after (1) a morph. */
  probe(phase: 0 | 1): Promise<readonly Uint8Array[]> {
    return this.#inTurn(async () => {
      if (this.#index !== 0) throw refusedOrder('the first keeper probes');
      const { x, rows } = this.#probe.input(this.#links.epoch - phase);
      const origin = { round: 0, attempt: 0, step: phase, group: this.#setup.identity.publicKey, ...rows };
      return [
        this.#sealed(await this.#setup.stage.forward(x, rows), 'probe', origin, this.#onward(origin.group)),
      ];
    });
  }

  /** Turns the stage for the next epoch: its boundaries with other keepers by keys that they share, the spaces inside by keys of its own. */
  turn(): Promise<void> {
    return this.#inTurn(() => {
      if (this.#unturned !== null) throw refusedOrder('the last morph is not settled');
      const { stage, secret, seats, width } = this.#setup;
      this.#unturned = stage.memory();
      this.#links.turn();
      const [before, after] = [seats.keepers[this.#index - 1], seats.keepers[this.#index + 1]];
      const rotation = (other: string) => morphFrom(this.#links.with(other)!.morphKey(), width);
      if (before !== undefined) stage.foldEntry(rotation(before.id));
      if (after !== undefined) stage.foldExit(rotation(after.id));
      stage.foldInside(ownKey(secret, `inside in epoch ${this.#links.epoch}`));
    });
  }

  /** Settles a morph: keeps it and forgets what was before, or takes it back. */
  settle(keep: boolean): Promise<void> {
    return this.#inTurn(() => {
      if (this.#unturned === null) throw refusedOrder('there is no morph to settle');
      this.#links.settle(keep);
      if (!keep) this.#setup.stage.restore(this.#unturned);
      this.#unturned = null;
      this.#probe.forget();
      // What was before must not stay: a stage of two epochs gives away what lies between them.
      if (keep) this.#begun = this.#setup.stage.memory();
    });
  }

  /** What it has, to go on from between rounds. Faults in the middle of a morph. */
  memory(): KeeperMemory {
    invariant(this.#unturned === null, 'a keeper is remembered in the middle of a morph');
    return { stage: this.#setup.stage.memory(), links: this.#links.memory() };
  }

  /** Goes on from what `memory` gave. */
  restore({ stage, links }: KeeperMemory): void {
    this.#setup.stage.restore(stage);
    this.#begun = stage;
    this.#links.restore(links);
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

  async #take(frame: SealedFrame): Promise<readonly Uint8Array[]> {
    const { header } = frame;
    const { run, seats, width, identity } = this.#setup;
    const { epoch } = this.#links;
    checkRoute(header, { run, id: identity.publicKey, index: this.#index, seats, width, epoch });
    switch (header.kind) {
      case 'forward':
      case 'backward':
        return this.#train(frame);
      case 'query':
        return [this.#passOn(header, await this.#forward(header, this.#open(frame)))];
      case 'probe':
        return this.#passProbe(frame);
    }
  }

  /** Opens a frame that is not one that was here before. */
  #open(frame: SealedFrame): Frame {
    const { from, sequence } = frame.header;
    const link = this.#links.with(from);
    if (link === null) throw misplaced('its sender is not known here');
    const opened = openFrame(frame, link);
    if (sequence <= (this.#heard.get(from) ?? -1)) throw misplaced('it was here before');
    this.#heard.set(from, sequence);
    return opened;
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

  async #trainThere(round: RoundLedger, { header, frame }: OpenedFrame): Promise<Uint8Array> {
    round.arrived(header.group, frame);
    return this.#passOn(header, await this.#forward(header, frame));
  }

  async #trainBack(round: RoundLedger, { header, frame }: OpenedFrame): Promise<readonly Uint8Array[]> {
    const { group } = header;
    const x = round.onItsWay(header);
    const { dx, gradient } = await this.#setup.stage.differentiate(x, frame, header);
    round.returned(group, gradient);
    const boundary = this.#index;
    const to = sidesOf(this.#setup.seats, group, boundary).before;
    return [this.#sealed(dx, 'backward', header, { boundary, to }), ...(await this.#endStep(round))];
  }

  /** Once all groups' gradients are there: the step, and what had come of the next one. */
  async #endStep(round: RoundLedger): Promise<readonly Uint8Array[]> {
    const gradients = round.gradients();
    if (gradients === null) return [];
    for (const gradient of gradients) this.#setup.stage.add(gradient);
    this.#setup.stage.step(round.learningRate);
    const sent = [];
    for (const waiting of round.next()) sent.push(await this.#trainThere(round, waiting));
    return sent;
  }

  async #passProbe(frame: SealedFrame): Promise<readonly Uint8Array[]> {
    const { header } = frame;
    if (header.group !== this.#setup.seats.keepers[0]!.id) throw misplaced('the first keeper probes');
    const y = await this.#forward(header, this.#open(frame));
    if (this.#index < this.#setup.seats.keepers.length - 1) return [this.#passOn(header, y)];
    this.#probe.ended(header.step, y);
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
    if (link === null) throw misplaced('where it goes on to is not known here');
    const { rows, width } = frame;
    const header: FrameHeader = {
      ...{ run, kind, epoch: link.epoch, round, attempt, step, group, boundary },
      ...{ from: identity.publicKey, to, rows, width, context, target },
      // A probe compares digits.
      type: kind === 'probe' ? 'float32' : frames,
      sequence: this.#sequence++,
    };
    return sealFrame(frame, header, link, identity);
  }
}

function refusedOrder(reason: string): PluralError {
  return new PluralError('ROUND_REFUSED', `a keeper was ordered what it does not do: ${reason}`, {
    hint: 'The aggregator and this keeper see the run differently: restart the round.',
  });
}
