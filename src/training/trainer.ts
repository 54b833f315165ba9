import { PluralError } from '../core/errors.ts';
import { randomStream } from '../core/random.ts';
import { predictorKind } from '../predictor/table.ts';
import { batchOf, sampleTask, type Task } from './batches.ts';
import type { Engine } from './engine.ts';
import { engineFor } from './engine-for.ts';
import type {
  Asked,
  GradientJob,
  GradientResult,
  Job,
  PredictJob,
  PredictResult,
  TrainJob,
  TrainResult,
  WorkerSetup,
} from './jobs.ts';
import { learningRateAt } from './schedule.ts';
import { answeredQuestions } from './shared-data.ts';

/** Target points of one prediction pass: bounds the memory of questions x questions. */
const MOST_TARGET_POINTS = 1024;

/** Splits targets into runs of whole questions of at most `MOST_TARGET_POINTS` points. */
function chunks(targets: readonly number[], pointsOf: (question: number) => number): number[][] {
  const result: number[][] = [];
  let points = Number.POSITIVE_INFINITY;
  for (const question of targets) {
    points += pointsOf(question);
    if (points > MOST_TARGET_POINTS) {
      result.push([]);
      points = pointsOf(question);
    }
    result.at(-1)!.push(question);
  }
  return result;
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.length;
  }
  return whole;
}

type Stream = readonly (string | number)[];

/** Does jobs one at a time, on one engine. Lives in a worker thread. */
export class Trainer {
  readonly #setup: WorkerSetup;
  readonly #engine: Engine;
  readonly #size: number;
  readonly #heldOut: ReadonlySet<number>;
  readonly #stopAsked: () => boolean;

  /** `stopAsked` is looked at before every step; once true, the job ends with INTERRUPTED. */
  constructor(setup: WorkerSetup, stopAsked: () => boolean = () => false) {
    this.#setup = setup;
    this.#stopAsked = stopAsked;
    const { device, optimizer, features, data } = setup;
    const predictor = predictorKind(setup.predictor.name).create(setup.predictor.options, {
      featureWidth: data.width,
      rows: data.features.length / data.width,
    });
    this.#size = predictor.layout.size;
    this.#engine = engineFor({ predictor, device, optimizer, features });
    this.#heldOut = new Set(setup.heldOutQuestions);
  }

  /** Errors: NOT_FINITE when training diverges, ENGINE_FAILED and DEVICE_UNAVAILABLE from the session. */
  run(job: Job): Promise<TrainResult | GradientResult | PredictResult> {
    switch (job.kind) {
      case 'train':
        return this.#train(job);
      case 'gradient':
        return this.#gradient(job);
      case 'predict':
        return this.predict(job);
    }
  }

  async #train(job: TrainJob): Promise<TrainResult> {
    const { schedule } = this.#setup;
    await this.#load(job.parameters);
    await this.#engine.begin(job.optimizer, job.proximal);
    let total = 0;
    for (let step = job.firstStep; step < job.firstStep + job.steps; step++) {
      this.#checkStop();
      const batch = batchOf(this.#setup.data, job.group, this.#taskOf(job.group, job.stream, step));
      const loss = await this.#engine.step(batch, learningRateAt(step, job.totalSteps, schedule));
      total += checkLoss(loss, step);
    }
    const optimizer = job.keepOptimizer ? await this.#engine.optimizer() : null;
    return { parameters: await this.#engine.parameters(), loss: total / job.steps, optimizer };
  }

  async #gradient({ parameters, group, stream, step }: GradientJob): Promise<GradientResult> {
    this.#checkStop();
    await this.#load(parameters);
    const batch = batchOf(this.#setup.data, group, this.#taskOf(group, stream, step));
    const result = await this.#engine.gradient(batch);
    checkLoss(result.loss, step);
    return result;
  }

  async #load(parameters: Float32Array): Promise<void> {
    if (parameters.length !== this.#size) {
      throw new PluralError(
        'ENGINE_FAILED',
        `${parameters.length} parameters were given to a predictor of ${this.#size}`,
      );
    }
    await this.#engine.load(parameters);
  }

  #checkStop(): void {
    if (this.#stopAsked()) throw new PluralError('INTERRUPTED', 'the job was given up');
  }

  #taskOf(group: number, stream: Stream, step: number): Task {
    const { data, seed, task } = this.#setup;
    const questions = Array.from(answeredQuestions(data, group)).filter((q) => !this.#heldOut.has(q));
    return sampleTask(randomStream(seed, 'task', ...stream, step), questions, task);
  }

  /** Predictions; `run` does the same for a job. */
  async predict({ parameters, asked }: PredictJob): Promise<PredictResult> {
    await this.#load(parameters);
    const probabilities: Float32Array[] = [];
    for (const one of asked) probabilities.push(await this.#predictOne(one));
    return { probabilities };
  }

  async #predictOne({ group, context, target }: Asked): Promise<Float32Array> {
    const { data } = this.#setup;
    const parts: Float32Array[] = [];
    for (const some of chunks(target, (question) => data.rowOf[question + 1]! - data.rowOf[question]!)) {
      this.#checkStop();
      parts.push(await this.#engine.predict(batchOf(data, group, { context, target: some })));
    }
    return joined(parts);
  }
}

/** The loss; NOT_FINITE where it is no number. */
function checkLoss(loss: number, step: number): number {
  if (Number.isFinite(loss)) return loss;
  throw new PluralError('NOT_FINITE', `the training loss is ${loss} at step ${step}`, {
    hint: 'Training diverged: lower training.learningRate, or raise predictor.stdFloor.',
  });
}
