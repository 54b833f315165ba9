import { workerSetup } from '../../config/worker-setup.ts';
import { asPluralError, invariant, PluralError } from '../../core/errors.ts';
import type { Predict, PredictionRequest } from '../../predictor/prediction.ts';
import { parseGreeting } from '../../sharding/frames/greeting.ts';
import { OuterVector } from '../../sharding/parts/outer-vector.ts';
import type { Floats } from '../../sharding/parts/part-session.ts';
import { batchOf } from '../../training/batches.ts';
import type { WorkerSetup } from '../../training/jobs.ts';
import { byQuestion } from '../../training/pool-predict.ts';
import { learningRateAt } from '../../training/schedule.ts';
import { joined, predictionBatches, taskOf } from '../../training/tasks.ts';
import { runDigest } from '../../wire/run-definition.ts';
import type { Course } from '../../wire/sharding.ts';
import { isCode, sitsOut } from '../failures.ts';
import type { LocalOptions, Prepared } from '../local-setup.ts';
import type { Opening, Trainer } from '../trainer.ts';
import { interrupted } from '../transport.ts';
import type { ShardedMeans } from './means.ts';
import { type OpenGroup, openGroup } from './open-group.ts';
import type { LineHandlers } from './relay-line.ts';
import { type ShardedPlan, shardedPlan } from './sharded-plan.ts';

type Training = NonNullable<Course['training']>;

/** Predictions that no answer comes to for so long are asked for again. */
const ANSWER_WITHIN_MS = 30_000;
const MOST_TRIES = 5;
/** How often who waits for a training looks whether the round still waits for it. */
const ASK_EVERY_MS = 5000;

/** Trains front and head, and the middle through the keepers of a sharded run. */
export class KeeperTrainer implements Trainer {
  readonly #setup: WorkerSetup;
  readonly #questions: Prepared['survey']['questions'];
  readonly #plan: ShardedPlan;
  readonly #vector: OuterVector;
  readonly #run: string;
  readonly #group: string;
  readonly #means: ShardedMeans | null;
  readonly #warn: LocalOptions['warn'];
  readonly #closing = new AbortController();
  #opening: Promise<OpenGroup | null> | null = null;
  #open: OpenGroup | null = null;
  #course: Course | null = null;
  /** Wakes who waits for another course. */
  #moved: (() => void)[] = [];
  #failed: PluralError | null = null;
  #met: Promise<void> = Promise.resolve();

  /** `means`: null for who only looks whether it could take part. */
  constructor(prepared: Prepared, { definition, group, warn }: LocalOptions, means: ShardedMeans | null) {
    const { config, ...inputs } = prepared;
    this.#setup = workerSetup(config, { ...inputs, device: 'cpu' });
    this.#questions = prepared.survey.questions;
    this.#plan = shardedPlan(definition);
    this.#vector = new OuterVector(prepared.predictor.layout, this.#plan.options);
    this.#run = runDigest(definition);
    this.#group = group;
    this.#means = means;
    this.#warn = warn;
  }

  async train(opening: Opening, received: Float32Array) {
    const open = await this.#opened();
    if (open === null) throw sitsOut(opening.round, 'the run has no seats yet');
    await this.#inRound(opening, (now) => (knownIn(open, now) ? now : null));
    await open.line.ready(`${opening.round}/${opening.attempt}`);
    try {
      for (;;) {
        const placed = await this.#inRound(opening, (now) => trainingOf(now, opening, open));
        const trained = await this.#attempt(open, opening, placed, received);
        if (trained !== null) return trained;
      }
    } finally {
      await open.line.ready(null);
    }
  }

  async predicting<Result>(parameters: Float32Array, use: (predict: Predict) => Promise<Result>) {
    const open = await this.#opened();
    if (open === null) return null;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const course = await this.#until((now) => (knownIn(open, now) ? now : null), ANSWER_WITHIN_MS);
      if (course === null) break;
      this.#begin(open, course, { round: 0, attempt: 0 }, parameters);
      try {
        return await use((request) => this.#predict(open, request));
      } catch (thrown) {
        if (!isCode(thrown, ['ROUND_REFUSED'])) throw thrown;
      }
    }
    this.#warn('the keepers do not answer: there are no predictions now');
    return null;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#fail(interrupted());
    await this.#open?.close();
    await this.#met;
  }

  /** One attempt at the training of a round; null where it was given up, and another may follow. Errors: ROUND_REFUSED, those of the parts. */
  async #attempt(open: OpenGroup, opening: Opening, { course, training }: Placed, received: Float32Array) {
    const { round } = opening;
    if (training.complete) {
      throw sitsOut(round, 'it was not ready when the others trained');
    }
    const { member } = open;
    this.#begin(open, course, training.place, received);
    const { localSteps, rounds } = this.#plan.config.training;
    let [loss, parameters] = [0, received];
    try {
      for (let step = 0; step < localSteps; step++) {
        const at = (round - 1) * localSteps + step;
        const batch = batchOf(this.#setup.data, 0, taskOf(this.#setup, 0, ['group', this.#group], at));
        const rate = learningRateAt(at, rounds * localSteps, this.#setup.schedule);
        loss += (await member.step(batch, step, rate)) / localSteps;
      }
      // Also at its very end it can be given up.
      const { front, head } = member.parameters();
      parameters = this.#vector.join(front, head);
    } catch (thrown) {
      this.#checkOpen();
      if (!isCode(thrown, ['ROUND_REFUSED'])) throw thrown;
      return null;
    }
    // What the keepers did not bring to its end is not sent: they begin it again.
    const ended = await this.#inRound(opening, (now) => (isUnderWay(now, training) ? null : { now }));
    const complete = ended.now?.training?.complete === true && samePlace(ended.now.training, training);
    return complete ? { parameters, loss } : null;
  }

  #begin(
    { member }: OpenGroup,
    { epoch, keeping }: Course,
    { round, attempt }: { readonly round: number; readonly attempt: number },
    parameters: Float32Array,
  ): void {
    member.begin({ epoch, keeping, round, attempt, ...this.#vector.cut(parameters) });
  }

  async #predict({ member }: OpenGroup, { context, targets }: PredictionRequest): Promise<Float32Array[]> {
    const parts: Float32Array[] = [];
    for (const batch of predictionBatches(this.#setup.data, { group: 0, context, target: targets })) {
      const timer = setTimeout(() => member.giveUp(), ANSWER_WITHIN_MS);
      let shares: Floats;
      try {
        shares = await member.predict(batch);
      } finally {
        clearTimeout(timer);
        this.#checkOpen();
      }
      parts.push(Float32Array.from(shares));
    }
    return byQuestion(this.#questions, targets, joined(parts));
  }

  /** The line to the keepers; null before the run begins. Errors: those of the seats, of the API, and of the parts. */
  async #opened(): Promise<OpenGroup | null> {
    this.#checkOpen();
    this.#opening ??= this.#connect();
    this.#open = await this.#opening.catch((thrown) => {
      this.#opening = null;
      throw thrown;
    });
    if (this.#open === null) this.#opening = null;
    return this.#open;
  }

  #connect(): Promise<OpenGroup | null> {
    const means = this.#means;
    invariant(means !== null, 'a group takes part with what it has for that');
    return openGroup(means, {
      run: this.#run,
      plan: this.#plan,
      handlers: this.#handlers(),
      stop: AbortSignal.any([means.signal, this.#closing.signal]),
      warn: this.#warn,
      failed: (error) => this.#fail(error),
    });
  }

  #handlers(): LineHandlers {
    return {
      frame: (bytes) => this.#receive(bytes),
      course: (course) => this.#move(course),
      newcomers: () => this.#meet(({ introducer }) => introducer.admit()),
      turn: () => this.#meet(({ introducer }) => introducer.greet()),
    };
  }

  #receive(bytes: Uint8Array): void {
    const greeting = parseGreeting(bytes);
    if (greeting !== null) {
      this.#meet(({ introducer }) => introducer.meet(greeting).then(() => this.#wake()));
      return;
    }
    try {
      this.#open?.member.receive(bytes);
    } catch (thrown) {
      this.#warn(asPluralError(thrown).message);
    }
  }

  /** What has to do with those who came later: one thing after the other, and nothing else waits for it. */
  #meet(work: (open: OpenGroup) => Promise<void>): void {
    this.#met = this.#met.then(async () => {
      try {
        const open = await this.#opening;
        if (open !== null) await work(open);
      } catch (thrown) {
        if (!this.#closing.signal.aborted) this.#warn(asPluralError(thrown).message);
      }
    });
  }

  /** Takes note of another course: what is under way by the one before is given up, but for a training that goes on. */
  #move(course: Course | null): void {
    const before = this.#course;
    this.#course = course;
    this.#meet(({ introducer }) => introducer.follow(course));
    const training = course?.training ?? null;
    const goesOn = before?.training != null && training !== null && samePlace(training, before.training);
    if (before !== null && !goesOn) this.#open?.member.giveUp();
    this.#wake();
  }

  #fail(error: PluralError): void {
    this.#failed ??= error;
    this.#open?.member.giveUp();
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#moved.splice(0)) wake();
  }

  /** Waits until the course has something, as long as the run waits for this round. Errors: ROUND_REFUSED where it does not, and those that ended the line. */
  async #inRound<Found>(
    { round, attempt }: Opening,
    look: (course: Course | null) => Found | null,
  ): Promise<Found> {
    for (;;) {
      const found = await this.#until(look, ASK_EVERY_MS);
      if (found !== null) return found;
      const task = await this.#means!.api.task();
      const waits = task.phase === 'collecting' && task.round === round && task.attempt === attempt;
      if (!waits) throw sitsOut(round, 'it goes on without its training');
    }
  }

  /** Waits until the course has something; null where that takes too long. Errors: those that ended the line. */
  async #until<Found>(
    look: (course: Course | null) => Found | null,
    withinMs: number,
  ): Promise<Found | null> {
    const until = performance.now() + withinMs;
    for (;;) {
      this.#checkOpen();
      const found = look(this.#course);
      const leftMs = until - performance.now();
      if (found !== null || leftMs <= 0) return found;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#moved.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  #checkOpen(): void {
    if (this.#failed !== null) throw this.#failed;
    if (this.#closing.signal.aborted) throw new PluralError('INTERRUPTED', 'the local work was stopped');
  }
}

/** A training and the course that it stands in. */
interface Placed {
  readonly course: Course;
  readonly training: Training;
}

/** Whether there are links with those who keep the stages at both ends: who came later agrees on them first. */
function knownIn({ member }: OpenGroup, course: Course | null): boolean {
  return course !== null && member.knows(course.keeping);
}

/** The training of an opening, once the group is among those who train and knows who keeps the stages at both ends, or it is over. */
function trainingOf(
  course: Course | null,
  { round, attempt }: Opening,
  { member }: OpenGroup,
): Placed | null {
  const training = course?.training ?? null;
  if (course === null || training?.round !== round || training.opening !== attempt) return null;
  const isIn = training.groups.includes(member.id) && member.knows(course.keeping);
  return training.complete || isIn ? { course, training } : null;
}

function samePlace(a: Training, b: Training): boolean {
  return a.place.round === b.place.round && a.place.attempt === b.place.attempt;
}

function isUnderWay(course: Course | null, training: Training): boolean {
  const now = course?.training ?? null;
  return now !== null && samePlace(now, training) && !now.complete;
}
