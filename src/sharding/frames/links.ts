import { invariant, PluralError } from '../../core/errors.ts';
import { Link } from './link.ts';

/** Epoch and secrets of some links, by who is at their other ends. */
export interface LinksMemory {
  readonly epoch: number;
  readonly secrets: readonly (readonly [other: string, secret: Uint8Array])[];
}

/** Far more epochs than somebody misses between two rounds; bounds what a number that somebody says makes us do. */
const MOST_EPOCHS_AHEAD = 100_000;

/** The links of one participant, all in one epoch. */
export class Links {
  #links: ReadonlyMap<string, Link>;
  /** Those of the epoch before, while it is not settled whether this one holds. */
  #before: ReadonlyMap<string, Link> | null = null;

  /** Links of one epoch, by who is at their other ends. */
  constructor(links: ReadonlyMap<string, Link>) {
    this.#links = links;
  }

  /** Links again from what `memory` gave. */
  static of(memory: LinksMemory): Links {
    const links = new Links(new Map());
    links.restore(memory);
    return links;
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
    const next = new Map([...this.#links].map(([id, link]) => [id, link.next()]));
    this.#before = this.#links;
    this.#links = next;
  }

  /** Forgets the epoch before, or goes back to it and forgets the new one. */
  settle(keep: boolean): void {
    const before = this.#before;
    invariant(before !== null, 'nothing to settle');
    for (const link of (keep ? before : this.#links).values()) link.forget();
    if (!keep) this.#links = before;
    this.#before = null;
  }

  /** Goes on to a later epoch and forgets those before. Errors: ROUND_REFUSED for an earlier one, and for one that is out of reach. */
  advanceTo(epoch: number): void {
    if (epoch < this.epoch || epoch > this.epoch + MOST_EPOCHS_AHEAD) {
      throw new PluralError(
        'ROUND_REFUSED',
        `epoch ${epoch} was said to be under way, here it is ${this.epoch}`,
        {
          hint: 'The aggregator says something else than before: do not go on before it is explained.',
        },
      );
    }
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
