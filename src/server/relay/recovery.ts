import { asPluralError } from '../../core/errors.ts';
import { newestOf } from '../../sharding/deposits/newest.ts';
import { type Keeping, otherStages } from '../../sharding/frames/seats.ts';
import type { DepositHeader } from '../../wire/stage-deposit.ts';
import { KeeperRefusal, type RemoteKeeper, Trouble } from './remote-keepers.ts';
import type { RunRelay } from './run-relay.ts';
import { areStrangers, canBelieve, canTakeOver, type Standing, standingOf } from './staff.ts';

/** What of a deposit the aggregator goes by. */
export type DepositNote = Pick<DepositHeader, 'stage' | 'id' | 'epoch' | 'round' | 'from'>;

/** The deposits of a run. */
export interface StoredDeposits {
  /** Of how many other stages a holder is needed to open one. */
  readonly threshold: number;
  /** Those that are there, in the order in which they came. */
  readonly stored: () => Promise<readonly DepositNote[]>;
}

/** What stages are recovered with. */
export interface RecoveryOptions {
  readonly relay: RunRelay;
  readonly patienceMs: number;
  readonly clock: { now(): number };
  readonly deposits?: StoredDeposits;
}

/** How somebody is reached. */
export interface Reach {
  readonly isThere: (id: string) => boolean;
  readonly keeper: (id: string) => RemoteKeeper;
  /** The last epoch that was decided to be kept. */
  readonly kept: () => number;
}

/** A stage that is waited for: since when, or since the last try to recover it, and why that failed. */
interface Wait {
  readonly since: number;
  readonly why: string;
}

const STRANGERS = 'who has it and the others do not know each other yet';
const NOT_YET = 'the others do not tell their shares of it yet';

/** Sees to it that a stage of which nobody who is there was told goes on from what its keeper left, with who has a seat for it and with the shares of the others. */
export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #reach: Reach;
  /** By stage. */
  readonly #waits = new Map<number, Wait>();

  constructor(options: RecoveryOptions, reach: Reach) {
    this.#options = options;
    this.#reach = reach;
  }

  /** Nothing is waited for any more. */
  done(): void {
    this.#waits.clear();
  }

  /** Stages without a deposit of an epoch; none where the run has no deposits. */
  async lacking(epoch: number, stages: number): Promise<readonly number[]> {
    const { deposits } = this.#options;
    if (deposits === undefined) return [];
    const stored = await deposits.stored();
    const has = (stage: number) => stored.some((one) => one.stage === stage && one.epoch === epoch);
    return Array.from({ length: stages }, (_, stage) => stage).filter((stage) => !has(stage));
  }

  /**
   * Returns once somebody who is there has the stage. Its keeper is waited for first, as after every start of the aggregator, and a try that failed is repeated after a while only.
   * Errors: Trouble, which says what is waited for.
   */
  async recover(stage: number, keeping: Keeping): Promise<void> {
    const { clock, patienceMs, deposits } = this.#options;
    const { since, why } = this.#waits.get(stage) ?? { since: clock.now(), why: '' };
    this.#waits.set(stage, { since, why });
    const trouble = (reason: string) =>
      new Trouble(`nobody who is there can keep stage ${stage}${reason === '' ? '' : `; ${reason}`}`);
    if (deposits === undefined || clock.now() - since < patienceMs) throw trouble(why);
    const failure = await this.#tryAll(stage, keeping, deposits);
    this.#waits.delete(stage);
    if (failure === null) return;
    this.#waits.set(stage, { since: clock.now(), why: failure });
    throw trouble(failure);
  }

  /** Why a stage could not be recovered; null where it was. */
  async #tryAll(
    stage: number,
    keeping: Keeping,
    { threshold, stored }: StoredDeposits,
  ): Promise<string | null> {
    const { relay } = this.#options;
    const { isThere, kept } = this.#reach;
    const standing = standingOf(relay, keeping.filter(isThere), kept());
    const { epoch } = standing;
    // Who has just come greets nobody before it hears of an epoch, and after a start of the aggregator not all keepers are there to say one.
    if (relay.course === null) relay.publish({ epoch, keeping: [...keeping], training: null });
    const taking = this.#takers(stage, standing);
    if (typeof taking === 'string') return taking;
    // An older deposit is for where the newest does not open, not for who has no links yet to hear of its key.
    const ready = taking.filter((id) => this.#met(id, stage, keeping.length) >= threshold);
    if (ready.length === 0) return 'who has a seat for it and the others do not know each other yet';
    const left = (await stored()).filter((one) => isLeftOf(one, stage, standing));
    let why = `nothing is left of it of epoch ${epoch}`;
    if (left.length === 0) return why;
    for (const { id } of newestOf(left)) {
      for (const to of ready) {
        const failure = await this.#tryOne({ stage, id, to }, keeping.length, threshold);
        // The others get some time to learn who it is; who never says its share holds up nobody.
        if (failure === NOT_YET && this.#waits.get(stage)?.why !== NOT_YET) return NOT_YET;
        if (failure === null && canTakeOver(relay, to, standing)) return null;
        why = failure ?? 'who said that it recovered it does not have it';
      }
    }
    return why;
  }

  /** Who is there, has a seat for a stage and does not have it; or why nobody is to recover it now. */
  #takers(stage: number, standing: Standing): readonly string[] | string {
    const { relay } = this.#options;
    const isHere = (id: string) => this.#reach.isThere(id) && relay.statusOf(id) !== null;
    const holders = relay.holders(stage).filter(isHere);
    const taking = holders.filter((id) => !canTakeOver(relay, id, standing));
    // Whoever has it gets some time to know the others; who never does holds up nobody.
    const isMet = taking.length > 0 && this.#waits.get(stage)?.why === STRANGERS;
    if (taking.length < holders.length && !isMet) return STRANGERS;
    return taking.length === 0 ? 'nobody who has a seat for it is there to recover it' : taking;
  }

  /** Of how many other stages all who are there and somebody know each other. */
  #met(id: string, stage: number, stages: number): number {
    const { relay } = this.#options;
    const others = otherStages(stage, stages);
    const present = (other: number) => relay.holders(other).filter(this.#reach.isThere);
    return others.filter((other) => present(other).every((one) => !areStrangers(relay, id, one))).length;
  }

  /** Why one deposit was not opened by one who has a seat for the stage; null where it was. */
  async #tryOne(
    order: { readonly stage: number; readonly id: string; readonly to: string },
    stages: number,
    threshold: number,
  ): Promise<string | null> {
    const { stage, id, to } = order;
    const others = otherStages(stage, stages);
    const told = await Promise.all(others.map((other) => this.#reveal(other, order)));
    const count = told.filter((one) => one === 'told').length;
    const later = told.filter((one) => one === 'later').length;
    if (count < threshold && count + later >= threshold) return NOT_YET;
    if (count < threshold) {
      return `holders of ${count} other stage(s) are there and have a share, ${threshold} are needed`;
    }
    try {
      await this.#reach.keeper(to).recover(stage, id);
      return null;
    } catch (thrown) {
      return thrown instanceof Trouble ? thrown.message : asPluralError(thrown).message;
    }
  }

  /** Whether a holder of another stage told its share, or may have one and tell it later; who stands by has the same as its keeper. */
  async #reveal(other: number, order: { readonly stage: number; readonly id: string; readonly to: string }) {
    const { relay } = this.#options;
    const { isThere, keeper } = this.#reach;
    const holders = relay.holders(other).filter(isThere);
    const told = await Promise.allSettled(holders.map((id) => keeper(id).reveal(order)));
    if (told.some(({ status }) => status === 'fulfilled')) return 'told';
    const hasNone = (thrown: unknown) => thrown instanceof KeeperRefusal && thrown.said === 'DEPOSIT_REFUSED';
    return told.every((one) => one.status === 'rejected' && hasNone(one.reason)) ? 'never' : 'later';
  }
}

/** Whether a stage can go on from a deposit: whoever goes on from what one said of an epoch or a round that there is not could not come back. */
function isLeftOf(deposit: DepositNote, stage: number, { epoch, round }: Standing): boolean {
  return deposit.stage === stage && deposit.epoch === epoch && canBelieve(deposit.round, round);
}
