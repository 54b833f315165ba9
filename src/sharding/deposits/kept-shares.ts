import type { DepositHeader } from '../../wire/stage-deposit.ts';
import { newestOf } from './newest.ts';

/** A share of the key of a deposit of another stage. */
export interface KeptShare extends Pick<DepositHeader, 'stage' | 'epoch' | 'round' | 'id' | 'from'> {
  readonly share: Uint8Array;
}

/** What a holder has of the keys of other stages' deposits: of each stage the shares of its newest ones, and none of another epoch. */
export class KeptShares {
  /** In the order in which they came. */
  #shares: readonly KeptShare[];

  constructor(memory: readonly KeptShare[] = []) {
    this.#shares = memory;
  }

  /** Keeps a share, and forgets those that it makes too old; one of a deposit that is known changes nothing. */
  keep(share: KeptShare): void {
    const own = this.#shares.filter(({ stage }) => stage === share.stage);
    if (own.some(({ id }) => id === share.id)) return;
    const kept = newestOf([...own, share]);
    this.#only([...this.#shares, share], (one) => one.stage !== share.stage || kept.includes(one));
  }

  /** Forgets what is not of this epoch. */
  keepOnly(epoch: number): void {
    this.#only(this.#shares, (one) => one.epoch === epoch);
  }

  /** Null where there is none. */
  of(stage: number, id: string): KeptShare | null {
    return this.#shares.find((one) => one.stage === stage && one.id === id) ?? null;
  }

  /** All that is kept: another list after each change. */
  memory(): readonly KeptShare[] {
    return this.#shares;
  }

  #only(shares: readonly KeptShare[], isKept: (share: KeptShare) => boolean): void {
    for (const one of shares) if (!isKept(one)) one.share.fill(0);
    const kept = shares.filter(isKept);
    if (kept.length !== this.#shares.length || kept.some((one, index) => one !== this.#shares[index]))
      this.#shares = kept;
  }
}
