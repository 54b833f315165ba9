import { digestOf } from '../../core/digest.ts';
import { invariant, PluralError } from '../../core/errors.ts';
import type { FrameType } from '../../wire/shard-frame.ts';
import { Link } from './link.ts';
import type { Seats } from './seats.ts';

/** Epoch and secrets of some links, by who is at their other ends. */
export interface LinksMemory {
  /** Digest of what they were agreed under: the run, its seats, its settings. */
  readonly bound: string;
  readonly epoch: number;
  readonly secrets: readonly (readonly [other: string, secret: Uint8Array])[];
}

/** What both ends of all links of a run must see alike. */
export function boundOf(setup: {
  readonly run: string;
  readonly seats: Seats;
  readonly frames: FrameType;
  readonly width: number;
}): object {
  const { run, seats, frames, width } = setup;
  return { run, seats, frames, width };
}

/** Far more epochs than somebody misses between two rounds; bounds what a number that somebody says makes us do. */
const MOST_EPOCHS_AHEAD = 10_000;

/** The links of one participant, all in one epoch. */
export class Links {
  /** Digest of what all ends must see alike. */
  readonly #bound: string;
  #links: ReadonlyMap<string, Link>;
  /** Those of the epoch before, while it is not settled whether this one holds. */
  #before: ReadonlyMap<string, Link> | null = null;

  /** Links of one epoch, by who is at their other ends; `bound` as of `Link.between`, or its digest. */
  constructor(links: ReadonlyMap<string, Link>, bound: object | string) {
    this.#links = links;
    this.#bound = typeof bound === 'string' ? bound : digestOf(bound);
  }

  /** Links again from what `memory` gave. Errors: STAGE_TAKEN where seats or settings are said to be others than then. */
  static of(memory: LinksMemory, bound: object): Links {
    const links = new Links(new Map(), bound);
    links.restore(memory);
    return links;
  }

  get epoch(): number {
    return this.#links.values().next().value?.epoch ?? 0;
  }

  /** The last epoch that is settled. */
  get settledEpoch(): number {
    return this.#before === null ? this.epoch : this.epoch - 1;
  }

  /** The link with a neighbour as it is in the epoch that is settled or a later one, to be forgotten after use; the links stay where they are. Errors: ROUND_REFUSED. */
  ahead(other: string, epoch: number): Link {
    const settled = (this.#before ?? this.#links).get(other);
    invariant(settled !== undefined, 'there is a link with who is asked for');
    this.#checkReach(epoch);
    let link = Link.from(settled.epoch, settled.secret());
    while (link.epoch < epoch) {
      const next = link.next();
      link.forget();
      link = next;
    }
    return link;
  }

  /** The same links in a later epoch, or in this one; these stay where they are. Errors: ROUND_REFUSED. */
  copyAt(epoch: number): Links {
    const links = [...this.#links.keys()].map((other) => [other, this.ahead(other, epoch)] as const);
    return new Links(new Map(links), this.#bound);
  }

  /** Overwrites all secrets. */
  forget(): void {
    for (const link of this.#links.values()) link.forget();
  }

  /** Null for who is no neighbour. */
  with(other: string): Link | null {
    return this.#links.get(other) ?? null;
  }

  /**
   * Takes in a link that was agreed on after the others. They meet in the later of their epochs.
   * Errors: ROUND_REFUSED in the middle of a morph, and for an epoch out of reach.
   */
  add(other: string, link: Link): void {
    invariant(!this.#links.has(other), 'there is one link with each');
    if (this.#before !== null) throw this.#astray(link.epoch);
    const epoch = Math.max(link.epoch, this.epoch);
    this.#checkReach(epoch);
    this.advanceTo(epoch);
    let met = link;
    while (met.epoch < epoch) {
      const next = met.next();
      met.forget();
      met = next;
    }
    this.#links = new Map([...this.#links, [other, met]]);
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
    this.#checkReach(epoch);
    while (this.epoch < epoch && this.#links.size > 0) {
      this.turn();
      this.settle(true);
    }
  }

  #checkReach(epoch: number): void {
    const here = this.settledEpoch;
    if (epoch < here || epoch > here + MOST_EPOCHS_AHEAD) throw this.#astray(epoch);
  }

  #astray(epoch: number): PluralError {
    const here = this.#before === null ? `it is ${this.epoch}` : 'a morph is not settled';
    return new PluralError('ROUND_REFUSED', `epoch ${epoch} was said to be under way, here ${here}`, {
      hint: 'The aggregator says something else than before: do not go on before it is explained.',
    });
  }

  memory(): LinksMemory {
    invariant(this.#before === null, 'links are remembered before an epoch is settled');
    const secrets = [...this.#links].map(([id, link]) => [id, link.secret()] as const);
    return { bound: this.#bound, epoch: this.epoch, secrets };
  }

  /** Errors: STAGE_TAKEN for links that were agreed under something else. */
  restore({ bound, epoch, secrets }: LinksMemory): void {
    // Who hands out seats could make a neighbour with whom there is a link somebody who stands by, and have a stage sealed for it.
    if (bound !== this.#bound) {
      throw new PluralError('STAGE_TAKEN', 'the seats of the run are said to be others than when it began', {
        hint: 'The aggregator says something else than before: do not go on before it is explained.',
      });
    }
    this.#links = new Map(secrets.map(([id, secret]) => [id, Link.from(epoch, secret)]));
    this.#before = null;
  }
}
