import { asPluralError, type PluralError } from '../../core/errors.ts';
import type { Newcomer } from '../../sharding/frames/seats.ts';
import type { SignedGreeting } from '../../wire/greeting.ts';
import type { Course } from '../../wire/sharding.ts';
import type { AggregatorApi } from '../api.ts';

type Soon<Value> = Value | Promise<Value>;

/** A keeper or a group, as far as it gets to know who came after the run began. */
export interface Acquaintance {
  admit(newcomers: readonly Newcomer[]): Soon<boolean>;
  /** `epoch`: the one that is under way. */
  greetings(epoch: number): Soon<readonly Uint8Array[]>;
  greet(greeting: SignedGreeting, epoch: number): Soon<Uint8Array | null>;
}

/** What it takes to introduce somebody. */
export interface IntroducerMeans {
  readonly api: Pick<AggregatorApi, 'seats'>;
  readonly party: Acquaintance;
  /** Stores what the party remembers, before anything that follows from it is sent. */
  readonly store: () => void;
  readonly send: (frames: readonly Uint8Array[]) => Soon<void>;
  readonly refused: (error: PluralError) => void;
  /** Told of all who came since the run began, when there are more. */
  readonly came?: (newcomers: readonly Newcomer[]) => void;
}

/** Whoever does not answer may have been away, or in the middle of a morph. */
const GREET_EVERY_MS = 3000;

/** Says hello to those who were there before, and answers those who came later. Nothing here throws but what storing and sending do, and asking who came. */
export class Introducer {
  readonly #means: IntroducerMeans;
  /** The epoch that the aggregator says is under way; null before it says one. */
  #epoch: number | null = null;
  /** When it last said hello; null: not since it was told of somebody. */
  #greetedAt: number | null = null;

  constructor(means: IntroducerMeans) {
    this.#means = means;
  }

  /** Takes note of the epoch. */
  async follow(course: Course | null): Promise<void> {
    this.#epoch = course?.epoch ?? null;
    await this.greet();
  }

  /** Gets to know who came since it last asked. */
  async admit(): Promise<void> {
    const { api, party, store } = this.#means;
    const { newcomers } = await api.seats();
    const isMore = await this.#tried(async () => party.admit(newcomers));
    if (isMore !== true) return;
    store();
    this.#means.came?.(newcomers);
    this.#greetedAt = null;
    await this.greet();
  }

  /** Says hello, now and then until all have answered. */
  async greet(): Promise<void> {
    const { party, store, send } = this.#means;
    const now = performance.now();
    const epoch = this.#epoch;
    if (epoch === null || (this.#greetedAt !== null && now - this.#greetedAt < GREET_EVERY_MS)) return;
    this.#greetedAt = now;
    const greetings = await this.#tried(async () => party.greetings(epoch));
    if (greetings === null || greetings.length === 0) return;
    store();
    await send(greetings);
  }

  /** Takes in a greeting of somebody else. */
  async meet(greeting: SignedGreeting): Promise<void> {
    const { party, store, send } = this.#means;
    const answer = await this.#tried(async () => ({ frame: await party.greet(greeting, this.#epoch ?? -1) }));
    if (answer === null) return;
    store();
    // Who was welcomed has more to show to those who may tell it of a stage: before the aggregator hears of the link, and orders that.
    if (greeting.greeting.kind === 'welcome') this.#greetedAt = null;
    await this.greet();
    // Also without an answer there is news: one stranger fewer.
    await send(answer.frame === null ? [] : [answer.frame]);
  }

  /** Null where it was refused. */
  async #tried<Result>(work: () => Promise<Result>): Promise<Result | null> {
    try {
      return await work();
    } catch (thrown) {
      this.#means.refused(asPluralError(thrown));
      return null;
    }
  }
}
