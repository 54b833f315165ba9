import { invariant } from '../../core/errors.ts';
import type { Links } from '../frames/links.ts';
import { misplaced } from '../frames/misplaced.ts';
import { openFrame, type SealedFrame } from '../frames/sealed-frame.ts';
import { morphFrom } from '../parts/morph.ts';
import { type PartMemory, wipe } from '../parts/part-state.ts';
import type { Stage } from '../parts/stage.ts';
import { type RoundPlace, refusedOrder } from './round-ledger.ts';
import type { KeeperMemory } from './setup.ts';
import { stageOfFrame, UNSETTLED } from './stage-frame.ts';

/** A round that is over: no attempt of it begins again. */
export const OVER = Number.MAX_SAFE_INTEGER;

/** What a stage is kept with. */
export interface KeptStageSetup {
  readonly stage: Stage;
  readonly links: Links;
  /** Width of the vectors between parts. */
  readonly width: number;
  /** Whether it has the stage from the beginning. */
  readonly holds: boolean;
}

/** With whom a stage has its boundaries now; undefined where a group is there. */
export interface Neighbours {
  readonly own: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/**
 * A stage over its rounds and epochs, at who keeps it or stands by for it: what a round that is given up goes back to, and what a morph that is taken back goes back to.
 * Secrets of the links go with it.
 */
export class KeptStage {
  readonly #stage: Stage;
  readonly #links: Links;
  readonly #width: number;
  #holds: boolean;
  #place: RoundPlace = { round: 0, attempt: OVER };
  /** The stage when the round began. */
  #begun: PartMemory;
  /** The stage before the morph that is not settled; null where there is none. */
  #unturned: PartMemory | null = null;

  constructor({ stage, links, width, holds }: KeptStageSetup, memory: KeeperMemory | undefined) {
    this.#stage = stage;
    this.#links = links;
    this.#width = width;
    this.#holds = memory?.holds ?? holds;
    if (memory !== undefined) {
      stage.restore(memory.stage);
      this.#place = memory.place;
    }
    this.#begun = stage.memory();
  }

  /** Whether it could be kept here: who stands by has it from who keeps it. */
  get holds(): boolean {
    return this.#holds;
  }

  /** Whether a morph is not settled. */
  get unsettled(): boolean {
    return this.#unturned !== null;
  }

  /** The last attempt that it took part in, or whose outcome it knows; of round 0 before the first. */
  get place(): RoundPlace {
    return this.#place;
  }

  /** The stage as it is begins a round, or goes back to where that began. */
  begin(place: RoundPlace, from: 'here' | 'where it began'): void {
    if (from === 'here') this.#remember();
    else this.goBack();
    this.#place = place;
  }

  /** What was trained since the round began is given up. */
  goBack(): void {
    this.#stage.restore(this.#begun);
  }

  /** Turns the stage for the next epoch: its boundaries with other keepers by keys that they share, the spaces inside by a key of its own. Errors: ROUND_REFUSED while the last morph is not settled. */
  turn(neighbours: Neighbours): void {
    if (this.#unturned !== null) throw refusedOrder('the last morph is not settled');
    const before = this.#stage.memory();
    this.#links.turn();
    this.#unturned = before;
    try {
      this.#fold(neighbours);
    } catch (thrown) {
      this.settle(false);
      throw thrown;
    }
  }

  /** Settles a morph: keeps it and forgets what was before, the round that led to it included; or takes it back. Errors: ROUND_REFUSED where there is none. */
  settle(keep: boolean): void {
    const before = this.#unturned;
    if (before === null) throw refusedOrder('there is no morph to settle');
    this.#links.settle(keep);
    this.#unturned = null;
    if (keep) {
      // What was before must not stay: a stage of two epochs gives away what lies between them.
      this.#place = { ...this.#place, attempt: OVER };
      this.#remember();
    } else this.#stage.restore(before);
    wipe(before);
  }

  /** Its links went on without the stage: it is of an epoch that is over, and is told of anew. */
  fellBehind(): void {
    this.#holds = false;
  }

  /** Takes over the stage that its keeper tells of, for good or until a morph is settled. Errors: FRAME_REFUSED, ROUND_REFUSED. */
  take(told: SealedFrame): void {
    if (told.header.step === UNSETTLED) this.#takeUnsettled(told);
    else this.#takeSettled(told);
  }

  /** What is gone on from between rounds. Faults in the middle of a morph. */
  memory(): Pick<KeeperMemory, 'stage' | 'links' | 'place' | 'holds'> {
    invariant(this.#unturned === null, 'a keeper is remembered in the middle of a morph');
    // Who goes on from it takes no further part in the attempt under way, whose frames it does not know.
    const place = { round: this.#place.round, attempt: OVER };
    return { stage: this.#stage.memory(), links: this.#links.memory(), place, holds: this.#holds };
  }

  /** Goes on from what `memory` gave. */
  restore({ stage, links, place, holds }: Omit<KeeperMemory, 'keeping' | 'introductions'>): void {
    this.#stage.restore(stage);
    this.#links.restore(links);
    this.#unturned = null;
    this.#holds = holds;
    this.#place = place;
    this.#remember();
  }

  #remember(): void {
    wipe(this.#begun);
    this.#begun = this.#stage.memory();
  }

  #fold({ own, before, after }: Neighbours): void {
    const keyWith = (other: string) => this.#links.with(other)!.morphKey();
    if (before !== undefined) this.#stage.foldEntry(morphFrom(keyWith(before), this.#width));
    if (after !== undefined) this.#stage.foldExit(morphFrom(keyWith(after), this.#width));
    this.#stage.foldInside(keyWith(own));
  }

  #takeSettled(told: SealedFrame): void {
    const { header } = told;
    // Nothing is given up for a frame that does not open, or that a relay kept and hands over again.
    const stage = stageOfFrame(this.#openAhead(told), this.#begun.masters.length, this.#width);
    // What it tells after a morph says how that was settled.
    if (this.#unturned !== null) this.settle(header.epoch >= this.#links.epoch);
    this.#links.advanceTo(header.epoch);
    this.#stage.restore(stage);
    wipe(stage);
    this.#place = { round: header.round, attempt: OVER };
    this.#holds = true;
    this.#remember();
  }

  /** The numbers of a stage's frame of this epoch or a later one. Errors: FRAME_REFUSED, ROUND_REFUSED. */
  #openAhead(told: SealedFrame) {
    const { epoch, round, from } = told.header;
    const settled = this.#links.settledEpoch;
    if (epoch < settled) throw misplaced('it is of an earlier epoch');
    if (epoch === settled && round < this.#place.round) throw misplaced('it is of an earlier round');
    const link = this.#links.ahead(from, epoch);
    try {
      return openFrame(told, link);
    } finally {
      link.forget();
    }
  }

  #takeUnsettled(told: SealedFrame): void {
    const { header } = told;
    const due = this.#holds && this.#unturned === null && header.epoch === this.#links.epoch + 1;
    if (!due) throw misplaced('no morph is due here');
    const before = this.#stage.memory();
    this.#links.turn();
    try {
      const frame = openFrame(told, this.#links.with(header.from)!);
      this.#stage.restore(stageOfFrame(frame, this.#begun.masters.length, this.#width));
      this.#unturned = before;
    } catch (thrown) {
      this.#links.settle(false);
      wipe(before);
      throw thrown;
    }
  }
}
