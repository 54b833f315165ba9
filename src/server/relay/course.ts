import { asPluralError } from '../../core/errors.ts';
import type { KeeperStatus } from '../../wire/sharding.ts';
import { Crew, type CrewOptions, STILL, sameKeeping } from './crew.ts';
import { RemoteKeeper, Trouble, until } from './remote-keepers.ts';
import { epochOf, lastRound } from './staff.ts';

/** The round that a run wants trained now. */
export interface Wanted {
  readonly round: number;
  /** Which opening of it. */
  readonly opening: number;
  /** Public keys of the groups that are to train, in the order in which gradients are added. */
  readonly groups: readonly string[];
  /** Fewest of them that keepers train with. */
  readonly leastGroups: number;
  readonly learningRates: readonly number[];
}

/** How keepers count a training and its attempts. */
type Place = Readonly<{ round: number; attempt: number }>;

/** Groups that are left out of a round, and the opening of it. */
interface LeftOut {
  readonly what: string;
  readonly groups: readonly string[];
}

const NOBODY: LeftOut = { what: '', groups: [] };

/** A training that is under way. */
interface Progress {
  readonly groups: readonly string[];
  readonly leastGroups: number;
  readonly place: Place;
  /** Whether it takes far longer than others did. */
  readonly isLate: boolean;
}

/** What the course of a run is told, and asks. */
export interface CourseOptions extends CrewOptions {
  /** Rounds of an epoch. */
  readonly epochRounds: number;
  /** What is to be trained now; null where nothing is. */
  readonly wanted: () => Promise<Wanted | null>;
  /** Told what goes wrong, once for each time. */
  readonly onTrouble: (message: string) => void;
}

const LOOK_EVERY_MS = 250;
/** Attempts of a training are over sooner; beyond so many times the median deviation something hangs. */
const DEVIATIONS = 4;
const REMEMBERED = 20;
/** A round that is over at a keeper has the largest attempt there is; no keeper counts as many by itself. */
const MOST_ATTEMPTS = 1_000_000;
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
 * begins again with who is left where somebody is lost. It knows little more than what everybody says of themselves, so it goes on after a restart from that.
 */
export class Course {
  readonly #options: CourseOptions;
  readonly #crew: Crew;
  /** The round and opening that is trained. */
  #trained = '';
  /** What the keepers count the last training that was brought to its end as; 0 where none was. */
  #complete = 0;
  /** The round before which stages were morphed last, or found not to fit. */
  #morphed = 0;
  /** Morphs that were broken off, in a row. */
  #broken = 0;
  /** Groups that went silent in the middle of a training, and the opening in which they are left out for it. */
  #silent = NOBODY;
  /** How long the last trainings took, in milliseconds. */
  readonly #took: number[] = [];
  #told = '';

  private constructor(options: CourseOptions, crew: Crew) {
    this.#options = options;
    this.#crew = crew;
  }

  /** Runs until the signal fires. */
  static async run(options: CourseOptions): Promise<void> {
    const { relay, clock, signal, patienceMs } = options;
    const course = new Course(options, await Crew.open(options));
    const began = clock.now();
    while (!signal.aborted) {
      try {
        await course.#look();
      } catch (thrown) {
        // Nobody is there at once.
        const early = thrown instanceof Trouble && clock.now() - began < patienceMs;
        if (!early) course.#tell(asPluralError(thrown).message);
      }
      await relay.change(LOOK_EVERY_MS, signal);
    }
  }

  async #look(): Promise<void> {
    const { relay, wanted } = this.#options;
    const round = await wanted();
    if (round === null || readiness(round.round, round.opening) === this.#trained) {
      const { keeping } = this.#crew;
      const there = keeping.filter((id) => this.#crew.isThere(id));
      const isDue = there.length < keeping.length || this.#crew.owes;
      // Of a run that is over all keepers may have gone home.
      const isOpen = relay.course !== null || there.length > 0;
      if (isOpen && isDue) await this.#crew.staff();
      this.#publishIdle();
      return;
    }
    await this.#crew.staff();
    this.#publishIdle();
    const groups = await this.#gather(round);
    await this.#morphBefore(round);
    await this.#train({ ...round, groups });
    relay.changed();
  }

  /** Between rounds: who keeps the stages, for predictions. */
  #publishIdle(): void {
    const { relay } = this.#options;
    const { epoch, keeping } = this.#crew;
    const { course } = relay;
    const same = course !== null && course.epoch === epoch && sameKeeping(course.keeping, keeping);
    if (epoch === null || same) return;
    // A training that is over stays told until the next: a group may not have heard of its end.
    const training = course?.training?.complete === true ? course.training : null;
    relay.publish({ epoch, keeping: [...keeping], training });
  }

  /** Waits until all groups that are to train are ready; who does not come in time is left out. Errors: Trouble. */
  async #gather({ round, opening, groups, leastGroups }: Wanted): Promise<string[]> {
    const { relay, patienceMs, clock } = this.#options;
    const what = readiness(round, opening);
    const since = clock.now();
    const isReady = (id: string) => this.#crew.isThere(id) && relay.isReady(id, what);
    const silent = this.#silent.what === what ? this.#silent.groups : [];
    const others = groups.filter((id) => !silent.includes(id));
    const check = () => this.#crew.checkGoing();
    await until(relay, check, () => {
      const late = clock.now() - since > patienceMs;
      return others.every(isReady) || late ? true : null;
    });
    const ready = others.filter(isReady);
    if (ready.length >= leastGroups) return ready;
    // Too few without whoever was left out.
    this.#silent = NOBODY;
    throw new Trouble(
      `${ready.length} groups are ready to train in round ${round}, of ${leastGroups} at least`,
    );
  }

  /** Morphs all stages where an epoch begins. */
  async #morphBefore({ round }: Wanted): Promise<void> {
    const { epochRounds, relay } = this.#options;
    const due = round > 1 && (round - 1) % epochRounds === 0 && this.#morphed !== round;
    if (!due) return;
    if (++this.#broken >= MOST_BROKEN) this.#morphed = round;
    const kept = await this.#crew.morph();
    this.#morphed = round;
    this.#broken = 0;
    const taken = `the morph before round ${round} changed what the model computes, and was taken back`;
    if (!kept) this.#tell(taken);
    else await this.#crew.leaveDeposits();
    relay.changed();
  }

  /** One attempt at a training. Errors: Trouble. */
  async #train({ round, opening, groups, leastGroups, learningRates }: Wanted): Promise<void> {
    const { relay, clock } = this.#options;
    const place = this.#nextPlace();
    const began = clock.now();
    const keeping = [...this.#crew.keeping];
    const people = [...keeping, ...groups];
    const isWanted = this.#watch({ round, opening });
    const check = async () => {
      this.#checkPeople(people);
      const isLate = clock.now() - began > this.#deadlineMs();
      this.#checkProgress(readiness(round, opening), { groups, leastGroups, place, isLate });
      if (isLate) throw new Trouble('the training does not end');
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
      const isOver = () => (keepers.every((keeper) => isDone(keeper.status, place)) ? true : null);
      await until(relay, check, isOver);
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
    const statuses = this.#crew.keeping.flatMap((id) => this.#options.relay.statusOf(id) ?? []);
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

  #checkPeople(people: readonly string[]): void {
    this.#crew.checkGoing();
    const lost = people.filter((id) => !this.#crew.isThere(id));
    if (lost.length > 0) throw new Trouble(`not heard of any more: ${lost.join(', ')}`);
  }

  /** A few groups that are there and do not go on, or hardly, must not hold up the others for ever. Errors: Trouble. */
  #checkProgress(what: string, { groups, leastGroups, place, isLate }: Progress): void {
    const { relay, patienceMs } = this.#options;
    const training = relay.course?.training ?? null;
    // Orders go out before the training is published.
    if (training === null || training.complete || training.place !== place) return;
    const late = relay.waitedFor(groups, isLate ? 0 : STILL * patienceMs);
    if (late.length === 0) return;
    const before = this.#silent.what === what ? this.#silent.groups : [];
    const silent = [...before, ...late];
    // Most groups are honest: where most seem to be silent, a keeper is.
    if (2 * silent.length > before.length + groups.length) return;
    const waits = `the training waits for ${late.join(', ')}`;
    if (groups.length - late.length < leastGroups) {
      throw new Trouble(`${waits}, and cannot go on without: it is of ${leastGroups} groups at least`);
    }
    this.#silent = { what, groups: silent };
    throw new Trouble(`${waits}, and goes on without`);
  }

  /** Heartbeats are advice; a training that takes far longer than others is begun again as well, and later than a silent group shows. */
  #deadlineMs(): number {
    const { patienceMs } = this.#options;
    if (this.#took.length === 0) return Number.POSITIVE_INFINITY;
    const median = medianOf(this.#took);
    const deviation = medianOf(this.#took.map((ms) => Math.abs(ms - median)));
    return median + DEVIATIONS * deviation + 2 * STILL * patienceMs;
  }

  #tell(message: string): void {
    if (message === this.#told) return;
    this.#told = message;
    this.#options.onTrouble(message);
  }
}

function isDone(status: KeeperStatus | null, place: Place): boolean {
  if (status === null) return false;
  if (status.round !== place.round || status.attempt !== place.attempt) {
    throw new Trouble('a keeper was started again in the middle of a training');
  }
  return status.done;
}
