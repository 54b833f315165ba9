import { PluralError } from '../core/errors.ts';
import { predictorKind } from '../predictor/table.ts';
import { batchOf } from './batches.ts';
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
import { joined, predictionBatches, taskOf } from './tasks.ts';

/** Does jobs one at a time, on one engine. Lives in a worker thread. */
export class Trainer {
  readonly #setup: WorkerSetup;
  readonly #engine: Engine;
  readonly #size: number;
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
      const batch = batchOf(this.#setup.data, job.group, taskOf(this.#setup, job.group, job.stream, step));
      const loss = await this.#engine.step(batch, learningRateAt(step, job.totalSteps, schedule));
      total += checkLoss(loss, step);
    }
    const optimizer = job.keepOptimizer ? await this.#engine.optimizer() : null;
    return { parameters: await this.#engine.parameters(), loss: total / job.steps, optimizer };
  }

  async #gradient({ parameters, group, stream, step }: GradientJob): Promise<GradientResult> {
    this.#checkStop();
    await this.#load(parameters);
    const batch = batchOf(this.#setup.data, group, taskOf(this.#setup, group, stream, step));
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
    for (const batch of predictionBatches(data, { group, context, target })) {
      this.#checkStop();
      parts.push(await this.#engine.predict(batch));
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
