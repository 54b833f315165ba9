import { type Keeping, stageOf } from '../../sharding/frames/seats.ts';
import { morphStages } from '../../sharding/keeper/epoch.ts';
import { Recovery, type StoredDeposits } from './recovery.ts';
import { RemoteKeeper, Trouble } from './remote-keepers.ts';
import type { RunRelay } from './run-relay.ts';
import { epochOf, staffed } from './staff.ts';

/** What is remembered of the keepers of a run beyond the process. */
export interface CrewMemory {
  /** Who keeps each stage. */
  readonly keeping: Keeping;
  /** The last epoch that was decided to be kept; 0 before the first morph. */
  readonly kept: number;
}

/** What keepers are ordered about with. */
export interface CrewOptions {
  readonly relay: RunRelay;
  readonly patienceMs: number;
  readonly store: { load(): Promise<CrewMemory | null>; save(memory: CrewMemory): Promise<void> };
  readonly clock: { now(): number };
  readonly signal: AbortSignal;
  /** Deposits of the stages; left out: there are none. */
  readonly deposits?: StoredDeposits;
}

/** Where nothing moves for so many times the patience, it is not waited for any longer. */
export const STILL = 3;

/** The keepers of a sharded run: who keeps which stage, and the morphs of all of them. */
export class Crew {
  readonly #options: CrewOptions;
  readonly #recovery: Recovery;
  #memory: CrewMemory;
  /** The epoch that the last morph of this process was to begin, and whether it was kept. */
  #ended: { readonly epoch: number; readonly kept: boolean } | null = null;

  /** When those who stand by were last told of stages out of turn. */
  #toldAt = Number.NEGATIVE_INFINITY;
  /** Whether a stage was recovered, and others were not left since: who recovered it has no share of what was left before. */
  #isRecovered = false;

  private constructor(options: CrewOptions, memory: CrewMemory) {
    this.#options = options;
    this.#memory = memory;
    this.#recovery = new Recovery(options, {
      isThere: (id) => this.isThere(id),
      keeper: (id) => this.#keeper(id),
      kept: () => this.#memory.kept,
    });
  }

  static async open(options: CrewOptions): Promise<Crew> {
    const memory = await options.store.load();
    return new Crew(options, memory ?? { keeping: options.relay.first, kept: 0 });
  }

  /** Who keeps each stage, as was last settled. */
  get keeping(): Keeping {
    return this.#memory.keeping;
  }

  /** The epoch that all of them are in; null where they are not in one. */
  get epoch(): number | null {
    return epochOf(this.#options.relay, this.keeping);
  }

  /** Whether something is heard of somebody. */
  isThere(id: string): boolean {
    return this.#options.relay.isThere(id, this.#options.patienceMs);
  }

  /** Errors: Trouble where the aggregator stops. */
  checkGoing(): void {
    if (this.#options.signal.aborted) throw new Trouble('the aggregator stops');
  }

  /** Sees to it that somebody who is there keeps each stage, and that all know who. Errors: Trouble. */
  async staff(): Promise<void> {
    await this.#settleMorph();
    const next = await this.#staffed();
    if (!sameKeeping(next, this.keeping)) await this.#remember({ keeping: next });
    const all = this.#present();
    await Promise.all(all.map((keeper) => this.#needed(keeper.id, keeper.appoint(next))));
    // Who stands by and has nothing yet, or nothing of this epoch, is told now, the others after the next round.
    if (this.#isRecovered || all.some(({ id }) => this.#isBehind(id))) {
      this.#toldAt = this.#options.clock.now();
      await Promise.all(next.map((id) => this.#keeper(id).keep()));
      this.#isRecovered = false;
    } else await this.leaveDeposits();
  }

  /** Who keeps each stage: one that nobody who is there has is recovered first, where that can be. Errors: Trouble. */
  async #staffed(): Promise<Keeping> {
    for (;;) {
      const { keeping, kept } = this.#memory;
      const next = staffed(this.#options.relay, keeping, (id) => this.isThere(id), kept);
      if (!('stage' in next)) {
        this.#recovery.done();
        return next;
      }
      await this.#recovery.recover(next.stage, this.keeping);
      this.#isRecovered = true;
    }
  }

  /** Has stages left with the aggregator of which there is no deposit of this epoch: whoever is lost before the next round can be made up for. One that fails keeps nobody waiting. */
  async leaveDeposits(): Promise<void> {
    const { epoch } = this;
    if (epoch === null) return;
    const stages = await this.#recovery.lacking(epoch, this.keeping.length);
    await Promise.allSettled(stages.map((stage) => this.#keeper(this.keeping[stage]!).keep()));
  }

  /** Whether somebody is to be told of a stage, and was not lately. */
  get owes(): boolean {
    const { clock, patienceMs } = this.#options;
    const isDue = clock.now() - this.#toldAt >= patienceMs;
    return isDue && this.epoch !== null && this.#present().some(({ id }) => this.#isBehind(id));
  }

  /** Whether who keeps a stage has yet to tell somebody of it who can hear that. */
  #isBehind(id: string): boolean {
    const { relay } = this.#options;
    const status = relay.statusOf(id);
    const keeper = this.keeping[stageOf(relay.seats, id) ?? -1];
    if (status === null || keeper === undefined || keeper === id) return false;
    const { epoch } = this;
    const lacks = !status.holds || (epoch !== null && status.epoch < epoch);
    return lacks && !status.strangers.includes(keeper);
  }

  /** Morphs all stages for the next epoch. Whether that was kept. Errors: Trouble, and what a keeper failed with. */
  async morph(): Promise<boolean> {
    const { patienceMs, clock } = this.#options;
    const before = this.epoch;
    if (before === null) throw new Trouble('the keepers are not in one epoch');
    const next = before + 1;
    const began = clock.now();
    const found = () => {
      if (clock.now() - began > 2 * STILL * patienceMs) {
        throw new Trouble('the probe of a morph does not come out');
      }
    };
    const keepers = this.keeping.map((id) => this.#keeper(id, this.keeping, found));
    const standbys = this.#present().filter(({ id }) => !this.keeping.includes(id));
    this.#ended = { epoch: next, kept: false };
    const decide = () => this.#remember({ kept: next });
    const kept = await morphStages(keepers, { carry: async () => undefined, standbys, decide });
    this.#ended = { epoch: next, kept };
    return kept;
  }

  /**
   * What a morph left behind that an earlier process, or a keeper that was lost, did not bring to its end. This process goes by how it ended, whatever one says of it; after a restart a morph is kept that
   * was decided to be, or that a keeper has settled. Whose stage somebody else keeps is taken back: the neighbours may have turned with that one, and it is told of the stage anew.
   */
  async #settleMorph(): Promise<void> {
    const statuses = this.#present().flatMap(({ id, status }) => (status === null ? [] : [{ id, status }]));
    const keepers = statuses.filter(({ id }) => this.keeping.includes(id));
    const settled = keepers.filter(({ status }) => !status.unsettled).map(({ status }) => status.epoch);
    for (const { id, status } of statuses.filter((one) => one.status.unsettled)) {
      const { epoch } = status;
      const isNext = epoch === this.#memory.kept + 1;
      const decided = epoch <= this.#memory.kept || (isNext && settled.some((one) => one >= epoch));
      const kept = this.#ended?.epoch === epoch ? this.#ended.kept : decided;
      if (kept && isNext && this.keeping.includes(id)) await this.#remember({ kept: epoch });
      await this.#needed(id, this.#keeper(id).settle(kept && !this.#isTold(id)));
    }
  }

  /** What is asked of who only stands by: where it does not do that, it takes over nothing, and nobody else stops for it. */
  async #needed(id: string, done: Promise<void>): Promise<void> {
    if (this.keeping.includes(id)) return done;
    await done.catch(() => undefined);
  }

  /** Whether somebody else keeps its stage, and is there to tell it of it. */
  #isTold(id: string): boolean {
    const keeper = this.keeping[stageOf(this.#options.relay.seats, id) ?? -1];
    return keeper !== undefined && keeper !== id && this.isThere(keeper);
  }

  async #remember(change: Partial<CrewMemory>): Promise<void> {
    const memory = { ...this.#memory, ...change };
    await this.#options.store.save(memory);
    this.#memory = memory;
  }

  /** All keepers that are there, also those who stand by. */
  #present(): RemoteKeeper[] {
    const stages = this.keeping.map((_, stage) => this.#options.relay.holders(stage));
    return stages.flat().flatMap((id) => (this.isThere(id) ? [this.#keeper(id)] : []));
  }

  /** `found` is asked as well while a probe is waited for. */
  #keeper(id: string, others: readonly string[] = [id], found: () => void = () => undefined): RemoteKeeper {
    const check = () => {
      this.checkGoing();
      const lost = others.find((one) => !this.isThere(one));
      if (lost !== undefined) throw new Trouble(`not heard of any more: ${lost}`);
    };
    const both = () => {
      check();
      found();
    };
    return new RemoteKeeper(this.#options.relay, id, check, both);
  }
}

/** Whether the same keep all stages. */
export function sameKeeping(a: Keeping, b: Keeping): boolean {
  return a.length === b.length && a.every((id, stage) => id === b[stage]);
}
