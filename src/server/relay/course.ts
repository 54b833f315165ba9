import { asPluralError } from '../../core/errors.ts';
import { type Keeping, stageOf } from '../../sharding/frames/seats.ts';
import { morphStages } from '../../sharding/keeper/epoch.ts';
import type { KeeperStatus } from '../../wire/sharding.ts';
import { type Check, RemoteKeeper, Trouble, until } from './remote-keepers.ts';
import type { RunRelay } from './run-relay.ts';
import { epochOf, lastRound, staffed } from './staff.ts';

/** The round that a run wants trained now. */
export interface Wanted {
  readonly round: number;
  /** Which opening of it. */
  readonly opening: number;
  /** Public keys of the groups that are to train, in the order in which gradients are added. */
  readonly groups: readonly string[];
  readonly learningRates: readonly number[];
}

/** How keepers count a training and its attempts. */
type Place = Readonly<{ round: number; attempt: number }>;

/** What the course of a run is told, and asks. */
export interface CourseOptions {
  readonly relay: RunRelay;
  /** Rounds of an epoch. */
  readonly epochRounds: number;
  readonly patienceMs: number;
  /** What is to be trained now; null where nothing is. */
  readonly wanted: () => Promise<Wanted | null>;
  readonly keeping: { load(): Promise<Keeping | null>; save(keeping: Keeping): Promise<void> };
  readonly clock: { now(): number };
  readonly signal: AbortSignal;
  /** Told what goes wrong, once for each time. */
  readonly onTrouble: (message: string) => void;
}

const LOOK_EVERY_MS = 250;
/** Attempts of a training are over sooner; beyond so many times the median deviation something hangs. */
const DEVIATIONS = 4;
const REMEMBERED = 20;
/** A round that is over at a keeper has the largest attempt there is; no keeper counts as many by itself. */
const MOST_ATTEMPTS = 1_000_000;
/** Where nothing moves for so many times the patience, it is not waited for any longer. */
const STILL = 3;
/** A morph that is broken off is tried again with who is left; a round does not wait for it without end. */
const MOST_BROKEN = 3;

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

/** Names a round and its opening. */
export function readiness(round: number, opening: number): string {
  return `${round}/${opening}`;
}

/**
 * The course of a sharded run: for each round that wants training it sees to it that all stages are kept, morphs them where an epoch begins, lets keepers and groups train, and
 * begins again with who is left where somebody is lost. It knows no more than what everybody says of themselves, so it goes on after a restart from that.
 */
export class Course {
  readonly #options: CourseOptions;
  #keeping: Keeping;
  /** The round and opening that is trained. */
  #trained = '';
  /** What the keepers count the last training that was brought to its end as; 0 where none was. */
  #complete = 0;
  /** The round before which stages were morphed last, or found not to fit. */
  #morphed = 0;
  /** Groups that went silent in the middle of a training, and the opening in which they are left out for it. */
  #silent: { readonly what: string; readonly groups: readonly string[] } = { what: '', groups: [] };
  /** The epoch that the last morph of this process was to begin, and whether it was kept. */
  #ended: { readonly epoch: number; readonly kept: boolean } | null = null;
  /** Morphs that were broken off, in a row. */
  #broken = 0;
  /** How long the last trainings took, in milliseconds. */
  readonly #took: number[] = [];
  #told = '';

  private constructor(options: CourseOptions, keeping: Keeping) {
    this.#options = options;
    this.#keeping = keeping;
  }

  /** Runs until the signal fires. */
  static async run(options: CourseOptions): Promise<void> {
    const keeping = (await options.keeping.load()) ?? options.relay.first;
    const course = new Course(options, keeping);
    const began = options.clock.now();
    while (!options.signal.aborted) {
      try {
        await course.#look();
      } catch (thrown) {
        // Nobody is there at once.
        const early = thrown instanceof Trouble && options.clock.now() - began < options.patienceMs;
        if (!early) course.#tell(asPluralError(thrown).message);
      }
      await options.relay.change(LOOK_EVERY_MS, options.signal);
    }
  }

  async #look(): Promise<void> {
    const { relay, wanted } = this.#options;
    const round = await wanted();
    const trained = round !== null && readiness(round.round, round.opening) === this.#trained;
    if (round === null || trained) {
      if (relay.course !== null && !this.#keeping.every((id) => this.#isThere(id))) await this.#staff();
      this.#publishIdle();
      return;
    }
    await this.#staff();
    this.#publishIdle();
    const groups = await this.#gather(round);
    const training = { ...round, groups };
    await this.#morphBefore(training);
    await this.#train(training);
    relay.changed();
  }

  /** Between rounds: who keeps the stages, for predictions. A training that is over stays told until the next. */
  #publishIdle(): void {
    const { relay } = this.#options;
    const epoch = epochOf(relay, this.#keeping);
    const { course } = relay;
    const same = course !== null && course.epoch === epoch && sameKeeping(course.keeping, this.#keeping);
    if (epoch !== null && !same) relay.publish({ epoch, keeping: [...this.#keeping], training: null });
  }

  /** Sees to it that somebody who is there keeps each stage, and that all know who. Errors: Trouble. */
  async #staff(): Promise<void> {
    const { relay, keeping: store } = this.#options;
    await this.#settleMorph();
    const next = staffed(relay, this.#keeping, (id) => this.#isThere(id));
    if ('stage' in next) throw new Trouble(`nobody who is there can keep stage ${next.stage}`);
    if (!sameKeeping(next, this.#keeping)) {
      this.#keeping = next;
      await store.save(next);
    }
    const all = this.#all();
    await Promise.all(all.map((keeper) => keeper.appoint(next)));
    // Who stands by and has nothing yet, or nothing of this epoch, is told now, the others after the next round.
    const epoch = epochOf(this.#options.relay, next);
    const isBehind = (status: KeeperStatus | null) =>
      status !== null && (!status.holds || (epoch !== null && status.epoch < epoch));
    if (all.some(({ status }) => isBehind(status))) {
      await Promise.all(next.map((id) => this.#keeper(id).keep()));
    }
  }

  /**
   * What a morph left behind that an earlier process, or a keeper that was lost, did not bring to its end. This process goes by how it ended, whatever one says of it; after a restart a morph is kept where
   * a keeper has settled it. Whose stage somebody else keeps is taken back: the neighbours may have turned with that one, and it is told of the stage anew.
   */
  async #settleMorph(): Promise<void> {
    const statuses = this.#all().flatMap(({ id, status }) => (status === null ? [] : [{ id, status }]));
    const unsettled = statuses.filter(({ status }) => status.unsettled);
    const settled = statuses.filter(({ status }) => !status.unsettled).map(({ status }) => status.epoch);
    for (const { id, status } of unsettled) {
      const ended = this.#ended?.epoch === status.epoch ? this.#ended.kept : null;
      const kept = ended ?? settled.some((epoch) => epoch >= status.epoch);
      await this.#keeper(id).settle(kept && !this.#isTold(id));
    }
  }

  /** Whether somebody else keeps its stage, and is there to tell it of it. */
  #isTold(id: string): boolean {
    const keeper = this.#keeping[stageOf(this.#options.relay.seats, id) ?? -1];
    return keeper !== undefined && keeper !== id && this.#isThere(keeper);
  }

  /** Waits until all groups that are to train are ready; who does not come in time is left out. Errors: Trouble. */
  async #gather({ round, opening, groups }: Wanted): Promise<string[]> {
    const { relay, patienceMs, clock } = this.#options;
    const what = readiness(round, opening);
    const since = clock.now();
    const isReady = (id: string) => this.#isThere(id) && relay.isReady(id, what);
    const silent = this.#silent.what === what ? this.#silent.groups : [];
    const others = groups.filter((id) => !silent.includes(id));
    await until(relay, this.#stop, () => {
      const late = clock.now() - since > patienceMs;
      return others.every(isReady) || late ? true : null;
    });
    const ready = others.filter(isReady);
    if (ready.length === 0) throw new Trouble(`no group is ready to train in round ${round}`);
    return ready;
  }

  /** Morphs all stages where an epoch begins. */
  async #morphBefore({ round }: Wanted): Promise<void> {
    const { relay, epochRounds, patienceMs, clock } = this.#options;
    const due = round > 1 && (round - 1) % epochRounds === 0 && this.#morphed !== round;
    if (!due) return;
    const began = clock.now();
    const found = () => {
      if (clock.now() - began > 2 * STILL * patienceMs)
        throw new Trouble('the probe of a morph does not come out');
    };
    const keepers = this.#keeping.map((id) => this.#keeper(id, this.#keeping, found));
    const standbys = this.#all().filter(({ id }) => !this.#keeping.includes(id));
    const last = ++this.#broken >= MOST_BROKEN;
    if (last) this.#morphed = round;
    const before = epochOf(relay, this.#keeping);
    if (before === null) throw new Trouble('the keepers are not in one epoch');
    this.#ended = { epoch: before + 1, kept: false };
    const kept = await morphStages(keepers, async () => undefined, standbys);
    this.#ended = { epoch: before + 1, kept };
    this.#morphed = round;
    this.#broken = 0;
    if (!kept)
      this.#tell(`the morph before round ${round} changed what the model computes, and was taken back`);
    relay.changed();
  }

  /** One attempt at a training. Errors: Trouble. */
  async #train({ round, opening, groups, learningRates }: Wanted): Promise<void> {
    const { relay, clock } = this.#options;
    const place = this.#nextPlace();
    const began = clock.now();
    const keeping = [...this.#keeping];
    const people = [...keeping, ...groups];
    const isWanted = this.#watch({ round, opening });
    const check = async () => {
      this.#checkTraining(people, began);
      this.#checkProgress(readiness(round, opening), groups, place);
      if (!(await isWanted())) throw new Trouble(`round ${round} goes on without its training`);
    };
    const keepers = keeping.map((id) => new RemoteKeeper(relay, id, check));
    const order = { ...place, groups: [...groups], learningRates: [...learningRates] };
    await Promise.all(keepers.map((keeper) => keeper.begin(order)));
    const epoch = epochOf(relay, keeping);
    if (epoch === null) throw new Trouble('the keepers are not in one epoch');
    const course = { epoch, keeping };
    const training = { round, opening, place, groups: [...groups] };
    relay.publish({ ...course, training: { ...training, complete: false } });
    try {
      await until(relay, check, () =>
        keepers.every((keeper) => isDone(keeper.status, place)) ? true : null,
      );
      await Promise.all(keepers.map((keeper) => keeper.keep()));
    } catch (thrown) {
      relay.publish({ ...course, training: null });
      throw thrown;
    }
    this.#trained = readiness(round, opening);
    this.#complete = place.round;
    this.#took.push(clock.now() - began);
    if (this.#took.length > REMEMBERED) this.#took.shift();
    relay.publish({ ...course, training: { ...training, complete: true } });
  }

  /** The next attempt of the training that was not brought to its end, or the first of the next one. */
  #nextPlace(): Place {
    const statuses = this.#keeping.flatMap((id) => this.#options.relay.statusOf(id) ?? []);
    const last = lastRound(statuses.map(({ round }) => round));
    if (last === null) throw new Trouble('a keeper counts far more trainings than the others');
    const under = statuses.filter(({ round }) => round === last);
    const over =
      last <= this.#complete || (under.length === statuses.length && under.every(({ done }) => done));
    // Those who took part begin it again where they still know how it began; the others have not begun.
    const attempt = 1 + Math.max(...under.map((status) => status.attempt));
    return over || attempt > MOST_ATTEMPTS ? { round: last + 1, attempt: 0 } : { round: last, attempt };
  }

  /** Whether the run still wants a round trained; the database is not asked at every frame. */
  #watch({ round, opening }: Pick<Wanted, 'round' | 'opening'>): () => Promise<boolean> {
    const { clock, wanted } = this.#options;
    let [askedAt, isWanted] = [clock.now(), true];
    return async () => {
      if (clock.now() - askedAt < LOOK_EVERY_MS) return isWanted;
      askedAt = clock.now();
      const now = await wanted();
      isWanted = now !== null && now.round === round && now.opening === opening;
      return isWanted;
    };
  }

  #checkTraining(people: readonly string[], began: number): void {
    this.#stop();
    const lost = people.filter((id) => !this.#isThere(id));
    if (lost.length > 0) throw new Trouble(`not heard of any more: ${lost.join(', ')}`);
    if (this.#options.clock.now() - began > this.#deadlineMs())
      throw new Trouble('the training does not end');
  }

  /** A few groups that are there and do not go on must not hold up the others for ever. Errors: Trouble. */
  #checkProgress(what: string, groups: readonly string[], place: Place): void {
    const { relay, patienceMs } = this.#options;
    const training = relay.course?.training ?? null;
    // Orders go out before the training is published.
    if (training === null || training.complete || training.place !== place) return;
    const late = relay.waitedFor(groups, STILL * patienceMs);
    if (late.length === 0) return;
    const before = this.#silent.what === what ? this.#silent.groups : [];
    const silent = [...before, ...late];
    // Most groups are honest: where most seem to be silent, a keeper is.
    if (2 * silent.length > before.length + groups.length) return;
    this.#silent = { what, groups: silent };
    throw new Trouble(`the training waits for ${late.join(', ')}, and goes on without`);
  }

  /** Heartbeats are advice; a training that takes far longer than others is begun again as well. */
  #deadlineMs(): number {
    const { patienceMs } = this.#options;
    if (this.#took.length === 0) return Number.POSITIVE_INFINITY;
    const median = medianOf(this.#took);
    const deviation = medianOf(this.#took.map((ms) => Math.abs(ms - median)));
    return median + DEVIATIONS * deviation + 3 * patienceMs;
  }

  readonly #stop: Check = () => {
    if (this.#options.signal.aborted) throw new Trouble('the aggregator stops');
  };

  /** All keepers that are there. */
  #all(): RemoteKeeper[] {
    const stages = this.#keeping.map((_, stage) => this.#options.relay.holders(stage));
    return stages.flat().flatMap((id) => (this.#isThere(id) ? [this.#keeper(id)] : []));
  }

  /** `found` is asked as well while a probe is waited for. */
  #keeper(id: string, others: readonly string[] = [id], found: () => void = () => undefined): RemoteKeeper {
    const check = () => {
      this.#stop();
      const lost = others.find((one) => !this.#isThere(one));
      if (lost !== undefined) throw new Trouble(`not heard of any more: ${lost}`);
    };
    const both = () => {
      check();
      found();
    };
    return new RemoteKeeper(this.#options.relay, id, check, both);
  }

  #isThere(id: string): boolean {
    return this.#options.relay.isThere(id, this.#options.patienceMs);
  }

  #tell(message: string): void {
    if (message === this.#told) return;
    this.#told = message;
    this.#options.onTrouble(message);
  }
}

function isDone(status: KeeperStatus | null, place: { round: number; attempt: number }): boolean {
  if (status === null) return false;
  if (status.round !== place.round || status.attempt !== place.attempt) {
    throw new Trouble('a keeper was started again in the middle of a training');
  }
  return status.done;
}

function sameKeeping(a: Keeping, b: Keeping): boolean {
  return a.length === b.length && a.every((id, stage) => id === b[stage]);
}
