import { asPluralError, type PluralError } from '../../core/errors.ts';
import type { LeftDeposit } from '../../sharding/keeper/deposits.ts';
import type { DepositHeader } from '../../wire/stage-deposit.ts';

/** What deposits are brought to the aggregator with. */
export interface DepositorOptions {
  readonly leave: (bytes: Uint8Array) => Promise<void>;
  /** Sends frames to the holders of other stages. */
  readonly send: (frames: readonly Uint8Array[]) => Promise<void>;
  /** Whether a deposit is of the epoch that the keeper is in. */
  readonly isCurrent: (header: DepositHeader) => boolean;
  /** Told how a deposit ended. */
  readonly ended: (header: DepositHeader, failure: PluralError | null) => void;
}

/**
 * Leaves stages with the aggregator while the training goes on: one at a time, and of those that wait the last. Holders of other stages have their shares only when the
 * deposit is there, so that what they keep is never of deposits that nobody has.
 */
export class Depositor {
  readonly #options: DepositorOptions;
  #waiting: LeftDeposit | null = null;
  #isBusy = false;

  constructor(options: DepositorOptions) {
    this.#options = options;
  }

  /** Takes the place of one that waits. */
  leave(deposit: LeftDeposit): void {
    this.#waiting = deposit;
    if (!this.#isBusy) void this.#leaveAll();
  }

  async #leaveAll(): Promise<void> {
    this.#isBusy = true;
    for (let next = this.#waiting; next !== null; next = this.#waiting) {
      this.#waiting = null;
      await this.#leaveOne(next);
    }
    this.#isBusy = false;
  }

  /** A deposit fails for itself: the training does not wait for it, and the next may succeed. */
  async #leaveOne({ header, bytes, shares }: LeftDeposit): Promise<void> {
    const { leave, send, isCurrent, ended } = this.#options;
    try {
      if (!isCurrent(header)) return;
      await leave(bytes);
      // After a morph nobody may have a stage of the epoch before.
      if (!isCurrent(header)) return;
      await send(shares);
      ended(header, null);
    } catch (thrown) {
      ended(header, asPluralError(thrown));
    }
  }
}
