import { workerSetup } from '../config/worker-setup.ts';
import { PluralError } from '../core/errors.ts';
import type { Predict } from '../predictor/prediction.ts';
import { resolveDevice } from '../training/device.ts';
import { startPool, type TrainingPool } from '../training/pool.ts';
import { predictWith } from '../training/pool-predict.ts';
import { shareFloats } from '../training/shared-data.ts';
import type { Prepared } from './local-setup.ts';

/** A round, and which opening of it. */
export interface Opening {
  /** The first is 1. */
  readonly round: number;
  readonly attempt: number;
}

/** How a group trains on its answers, and what predicts with the models of its run. */
export interface Trainer {
  /** Local training from the parameters of a round's model, float32; what they become, and the mean loss. Errors: NOT_FINITE, ROUND_REFUSED, INTERRUPTED. */
  train(
    opening: Opening,
    received: Float32Array,
    proximal: number,
  ): Promise<{ readonly parameters: Float32Array; readonly loss: number }>;
  /** What a model predicts, within `use`; null where nothing predicts with it now. Errors: INTERRUPTED, NOT_FINITE. */
  predicting<Result>(
    parameters: Float32Array,
    use: (predict: Predict) => Promise<Result>,
  ): Promise<Result | null>;
  /** Gives up what is under way, with INTERRUPTED. */
  close(): Promise<void>;
}

/** Trains the whole predictor, in a worker thread that is kept over rounds. */
export class PoolTrainer implements Trainer {
  readonly #prepared: Prepared;
  readonly #group: string;
  #pool: TrainingPool | undefined;
  #closed = false;

  constructor(prepared: Prepared, group: string) {
    this.#prepared = prepared;
    this.#group = group;
  }

  async train({ round }: Opening, received: Float32Array, proximal: number) {
    const { localSteps, rounds } = this.#prepared.config.training;
    return this.#workers().run<'train'>({
      kind: 'train',
      parameters: received,
      group: 0,
      stream: ['group', this.#group],
      firstStep: (round - 1) * localSteps,
      steps: localSteps,
      totalSteps: rounds * localSteps,
      optimizer: null,
      proximal,
      keepOptimizer: false,
    });
  }

  predicting<Result>(parameters: Float32Array, use: (predict: Predict) => Promise<Result>): Promise<Result> {
    const { questions } = this.#prepared.survey;
    return use(predictWith(this.#workers(), questions, shareFloats(parameters)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#pool?.close();
  }

  /** The thread is started when it is first needed: joining needs none. */
  #workers(): TrainingPool {
    if (this.#closed) throw new PluralError('INTERRUPTED', 'the local work was stopped');
    const { config, ...inputs } = this.#prepared;
    const device = resolveDevice(config.runtime.device);
    this.#pool ??= startPool(workerSetup(config, { ...inputs, device }), 1);
    return this.#pool;
  }
}
