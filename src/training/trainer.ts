import { PluralError } from '../core/errors.ts';
import { randomStream } from '../core/random.ts';
import { GRAPH_NAMES, type TrainablePredictor, withParameters } from '../predictor/predictor.ts';
import { predictorKind } from '../predictor/table.ts';
import { batchOf, sampleTask, type Task } from './batches.ts';
import type {
  GradientResult,
  Job,
  PredictJob,
  PredictResult,
  TrainJob,
  TrainResult,
  WorkerSetup,
} from './jobs.ts';
import { adamStep, freshAdam } from './optimizer.ts';
import { learningRateAt } from './schedule.ts';
import { type GraphSession, openSession } from './session.ts';
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

/** Does jobs one at a time, with one session per graph, opened when first needed. Lives in a worker thread. */
export class Trainer {
  readonly #setup: WorkerSetup;
  readonly #predictor: TrainablePredictor;
  readonly #heldOut: ReadonlySet<number>;
  readonly #stopAsked: () => boolean;
  #training: Promise<GraphSession> | undefined;
  #prediction: Promise<GraphSession> | undefined;

  /** `stopAsked` is looked at before every step; once true, the job ends with INTERRUPTED. */
  constructor(setup: WorkerSetup, stopAsked: () => boolean = () => false) {
    this.#setup = setup;
    this.#stopAsked = stopAsked;
    this.#predictor = predictorKind(setup.predictor.name).create(setup.predictor.options, setup.data.width);
    this.#heldOut = new Set(setup.heldOutQuestions);
  }

  /** Errors: NOT_FINITE when training diverges, ENGINE_FAILED and DEVICE_UNAVAILABLE from the session. */
  run(job: Job): Promise<TrainResult | GradientResult | PredictResult> {
    switch (job.kind) {
      case 'train':
        return this.#train(job);
      case 'gradient':
        // ONNX Runtime refuses shared memory as an input, hence the copy.
        return this.#gradient(Float32Array.from(job.parameters), job.group, job.stream, job.step);
      case 'predict':
        return this.predict(job);
    }
  }

  async #train(job: TrainJob): Promise<TrainResult> {
    const { optimizer: options, schedule } = this.#setup;
    const parameters = Float32Array.from(job.parameters);
    const state = job.optimizer === null ? freshAdam(parameters.length) : { ...job.optimizer };
    let total = 0;
    for (let step = job.firstStep; step < job.firstStep + job.steps; step++) {
      const { loss, gradient } = await this.#gradient(parameters, job.group, job.stream, step);
      adamStep(parameters, gradient, state, learningRateAt(step, job.totalSteps, schedule), options);
      total += loss;
    }
    return { parameters, loss: total / job.steps, optimizer: state };
  }

  async #gradient(
    parameters: Float32Array,
    group: number,
    stream: Stream,
    step: number,
  ): Promise<GradientResult> {
    this.#training ??= openSession(this.#predictor.trainingGraph(), this.#setup.device);
    const session = await this.#training;
    this.#checkStop();
    const batch = batchOf(this.#setup.data, group, this.#taskOf(group, stream, step));
    const outputs = await session.run(withParameters(this.#predictor.feeds(batch), parameters));
    const loss = outputs[GRAPH_NAMES.loss]![0]!;
    if (!Number.isFinite(loss)) {
      throw new PluralError('NOT_FINITE', `the training loss is ${loss} at step ${step}`, {
        hint: 'Training diverged: lower training.learningRate, or raise predictor.stdFloor.',
      });
    }
    return { loss, gradient: outputs[GRAPH_NAMES.gradient]! };
  }

  #checkStop(): void {
    if (this.#stopAsked()) throw new PluralError('INTERRUPTED', 'the job was given up');
  }

  #taskOf(group: number, stream: Stream, step: number): Task {
    const { data, seed, task } = this.#setup;
    const questions = Array.from(answeredQuestions(data, group)).filter((q) => !this.#heldOut.has(q));
    return sampleTask(randomStream(seed, 'task', ...stream, step), questions, task);
  }

  /** Predictions of one group; `run` does the same for a job. */
  async predict({ parameters, group, context, target }: PredictJob): Promise<PredictResult> {
    const { data, device } = this.#setup;
    this.#prediction ??= openSession(this.#predictor.predictionGraph(), device);
    const session = await this.#prediction;
    const own = Float32Array.from(parameters);
    const parts: Float32Array[] = [];
    for (const some of chunks(target, (question) => data.rowOf[question + 1]! - data.rowOf[question]!)) {
      this.#checkStop();
      const feeds = this.#predictor.feeds(batchOf(data, group, { context, target: some }));
      parts.push((await session.run(withParameters(feeds, own)))[GRAPH_NAMES.probabilities]!);
    }
    return { probabilities: joined(parts) };
  }
}
