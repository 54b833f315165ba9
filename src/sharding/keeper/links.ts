import { invariant } from '../../core/errors.ts';
import type { KeyPair } from '../../privacy/secure-sum/key-agreement.ts';
import { Link, type Seat } from '../frames/link.ts';

/** Epoch and secrets of some links, by who is at their other ends. */
export interface LinksMemory {
  readonly epoch: number;
  readonly secrets: readonly (readonly [other: string, secret: Uint8Array])[];
}

/** The links of one participant with its neighbours, all in one epoch. */
export class Links {
  #links: ReadonlyMap<string, Link>;
  /** Those of the epoch before, while it is not settled whether this one holds. */
  #before: ReadonlyMap<string, Link> | null = null;

  private constructor(links: ReadonlyMap<string, Link>) {
    this.#links = links;
  }

  /** Links of epoch 0. Errors: FRAME_REFUSED. */
  static open(
    run: string,
    own: { readonly id: string; readonly keys: KeyPair },
    others: readonly Seat[],
  ): Links {
    return new Links(new Map(others.map((other) => [other.id, Link.between(run, own, other)])));
  }

  get epoch(): number {
    return this.#links.values().next().value?.epoch ?? 0;
  }

  /** Null for who is no neighbour. */
  with(other: string): Link | null {
    return this.#links.get(other) ?? null;
  }

  /** Goes to the next epoch, for the time being. */
  turn(): void {
    invariant(this.#before === null, 'an epoch begins before the last one is settled');
    this.#before = this.#links;
    this.#links = new Map([...this.#links].map(([id, link]) => [id, link.next()]));
  }

  /** Forgets the epoch before, or goes back to it and forgets the new one. */
  settle(keep: boolean): void {
    const before = this.#before;
    invariant(before !== null, 'nothing to settle');
    for (const link of (keep ? before : this.#links).values()) link.forget();
    if (!keep) this.#links = before;
    this.#before = null;
  }

  /** Goes on to a later epoch and forgets those before. */
  advanceTo(epoch: number): void {
    while (this.epoch < epoch && this.#links.size > 0) {
      this.turn();
      this.settle(true);
    }
  }

  memory(): LinksMemory {
    invariant(this.#before === null, 'links are remembered before an epoch is settled');
    return { epoch: this.epoch, secrets: [...this.#links].map(([id, link]) => [id, link.secret()]) };
  }

  restore({ epoch, secrets }: LinksMemory): void {
    this.#links = new Map(secrets.map(([id, secret]) => [id, Link.from(epoch, secret)]));
    this.#before = null;
  }
}
