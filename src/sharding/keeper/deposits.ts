import type { DepositHeader } from '../../wire/stage-deposit.ts';
import { KeptShares } from '../deposits/kept-shares.ts';
import { checkShareRoute, frameOfShare, shareOfFrame } from '../deposits/share-frame.ts';
import {
  depositRefused,
  openDeposit,
  readDeposit,
  type StageDeposit,
  type StageShare,
  sealDeposit,
} from '../deposits/stage-deposit.ts';
import type { Introductions } from '../frames/introductions.ts';
import type { Links } from '../frames/links.ts';
import { misplaced } from '../frames/misplaced.ts';
import { openFrame, type SealedFrame } from '../frames/sealed-frame.ts';
import { holdersOf, type Keeping, stageOf } from '../frames/seats.ts';
import { type PartMemory, wipe } from '../parts/part-state.ts';
import type { Outgoing } from './outgoing.ts';
import { refusedOrder } from './round-ledger.ts';
import type { KeeperParts } from './setup.ts';

/** A deposit of the own stage, and its key's shares, sealed for their holders: to be told once the deposit is where it is to be. */
export interface LeftDeposit {
  readonly header: DepositHeader;
  readonly bytes: Uint8Array;
  readonly shares: readonly Uint8Array[];
}

/** Whose share is to be told to whom. */
export interface RevealOrder {
  readonly stage: number;
  readonly id: string;
  /** A holder of that stage. */
  readonly to: string;
}

/** What deposits are made and opened with. */
interface DepositsSetup extends Pick<KeeperParts, 'run' | 'identity' | 'width'> {
  /** Whose seats it goes by, and who may be told of a stage. */
  readonly introductions: Pick<Introductions, 'seats' | 'isVouchedFor'>;
  readonly recovery: KeeperParts['recovery'] | undefined;
  readonly shares: KeeperParts['shares'] | undefined;
}

/** What a holder of a stage does so that a stage outlives its keeper: leaves its own with the aggregator, keeps shares of the keys of others', and opens what was left of its own by theirs. */
export class Deposits {
  readonly #setup: DepositsSetup;
  readonly #id: string;
  readonly #index: number;
  readonly #links: Links;
  readonly #outgoing: Outgoing;
  readonly #kept: KeptShares;
  /** What holders of other stages told last, sealed until it is known for which deposit. */
  readonly #revealed = new Map<string, SealedFrame>();

  constructor(setup: DepositsSetup, links: Links, outgoing: Outgoing) {
    this.#setup = { ...setup, shares: undefined };
    this.#id = setup.identity.publicKey;
    this.#index = stageOf(setup.introductions.seats, this.#id) ?? -1;
    this.#links = links;
    this.#outgoing = outgoing;
    this.#kept = new KeptShares(setup.shares);
    this.#kept.keepOnly(links.epoch);
  }

  /** The shares that it keeps: another list after each change. */
  get shares() {
    return this.#kept.memory();
  }

  /** A deposit of the own stage as it is after a round; null where the run has none. What is handed over is overwritten. */
  leave(memory: PartMemory, round: number): LeftDeposit | null {
    const { run, identity, width, recovery } = this.#setup;
    if (recovery === undefined) return null;
    const seats = this.#setup.introductions.seats;
    const place = { run, stage: this.#index, epoch: this.#links.epoch, round, width };
    const content = { ...place, memory, stages: seats.keepers.length, threshold: recovery };
    const { header, bytes, shares } = sealDeposit(content, identity);
    wipe(memory);
    // Who has just come and was not greeted yet has the share of the next one.
    const known = (stage: number) =>
      holdersOf(seats, stage).filter(({ id }) => this.#links.with(id) !== null);
    const sealed = [...shares].flatMap(([stage, share]) =>
      known(stage).map(({ id }) => this.#sealed(header, share, id)),
    );
    for (const share of shares.values()) share.fill(0);
    return { header, bytes, shares: sealed };
  }

  /** Takes in a share: one to keep of this epoch alone, one that opens a deposit of the own stage until that is opened. Errors: FRAME_REFUSED. */
  take(frame: SealedFrame, keeping: Keeping): void {
    const { header } = frame;
    const { from, epoch, round, boundary: stage } = header;
    const { run } = this.#setup;
    const place = { run, id: this.#id, index: this.#index, seats: this.#setup.introductions.seats, keeping };
    const way = checkShareRoute(header, place);
    if (this.#links.with(from) === null) throw misplaced('there is no link with its sender');
    if (way === 'revealed') {
      this.#revealed.set(from, frame);
      return;
    }
    if (epoch !== this.#links.epoch) throw misplaced(`it is of epoch ${epoch}, not ${this.#links.epoch}`);
    const { id, share } = shareOfFrame(openFrame(frame, this.#links.with(from)!));
    this.#kept.keep({ stage, epoch, round, id, from, share });
  }

  /** The share of a deposit for a holder of its stage, and for nobody else. Errors: ROUND_REFUSED. */
  reveal({ stage, id, to }: RevealOrder): Uint8Array {
    if (stage === this.#index || stageOf(this.#setup.introductions.seats, to) !== stage) {
      throw refusedOrder('a share is told to holders of its stage alone');
    }
    if (this.#links.with(to) === null) throw refusedOrder('there is no link yet with whom it is for');
    if (!this.#setup.introductions.isVouchedFor(to))
      throw refusedOrder('the others do not know whom it is for');
    const kept = this.#kept.of(stage, id);
    if (kept === null) throw depositRefused('it has no share of it');
    return this.#sealed(kept, kept.share, to);
  }

  /** The own stage in a deposit by a holder of it, where `check` takes its header. Errors: DEPOSIT_REFUSED, ROUND_REFUSED for an epoch out of reach, those of `check`. */
  open(bytes: Uint8Array, id: string, size: number, check: (header: DepositHeader) => void) {
    const deposit = readDeposit(bytes);
    const { header } = deposit;
    const { run, width, recovery } = this.#setup;
    const seats = this.#setup.introductions.seats;
    const isOwn = header.run === run && header.stage === this.#index && header.id === id;
    if (recovery === undefined || !isOwn || stageOf(seats, header.from) !== this.#index) {
      throw depositRefused('it is not the one that was asked for, by a holder of this stage');
    }
    check(header);
    const told = this.#toldFor(deposit);
    const memory = openDeposit(deposit, told, { threshold: recovery, size, width });
    for (const { share } of told) share.fill(0);
    return { header, memory };
  }

  /** Forgets what is not of the epoch that all is in now, and what was told to open a deposit. */
  forget(): void {
    this.#kept.keepOnly(this.#links.epoch);
    this.#revealed.clear();
  }

  #sealed(
    { stage, id, round }: Pick<DepositHeader, 'stage' | 'id' | 'round'>,
    share: Uint8Array,
    to: string,
  ) {
    const origin = { round, attempt: 0, step: 0, group: this.#id, context: 1, target: 1 };
    return this.#outgoing.sealed(frameOfShare({ id, share }), 'share', origin, { boundary: stage, to });
  }

  /** What was told of a deposit's key; what does not open was not told. */
  #toldFor({ header }: StageDeposit): StageShare[] {
    return [...this.#revealed.values()].flatMap((frame) => {
      const { from, epoch } = frame.header;
      if (epoch !== header.epoch) return [];
      const link = this.#links.ahead(from, epoch);
      try {
        const { id, share } = shareOfFrame(openFrame(frame, link));
        return id === header.id ? [{ stage: stageOf(this.#setup.introductions.seats, from)!, share }] : [];
      } catch {
        return [];
      } finally {
        link.forget();
      }
    });
  }
}
