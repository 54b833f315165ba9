import { join } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { PluralError } from '../core/errors.ts';
import type { Evaluated } from '../evaluate/evaluate.ts';
import { startPool } from '../training/pool.ts';
import { makeModel } from '../wire/model.ts';
import type { Model } from '../wire/stages.ts';
import { evaluateModel } from './context.ts';
import type { Emit } from './events.ts';
import { type Experiment, prepareExperiment, workerSetup } from './experiment.ts';
import { federatedStore } from './federated.ts';
import { fingerprintOf } from './progress.ts';
import { frozenConfig, RUN_FILES } from './run-folder.ts';

/** A run folder opened for use: its experiment and the newest model of its federated training. */
export interface TrainedRun {
  readonly folder: string;
  readonly experiment: Experiment;
  readonly model: Model;
  /** Fewer than the configured rounds: the run was interrupted. */
  readonly rounds: { readonly done: number; readonly all: number };
}

/**
 * Opens the model of a run. `overrides` change its configuration, for instance to evaluate on other data.
 * Errors: RUN_NOT_FOUND, FEATURES_WIDTH, MODEL_MISMATCH, and those of configuration and data.
 */
export async function openTrainedRun(
  folder: string,
  overrides: readonly string[],
  emit: Emit,
): Promise<TrainedRun> {
  frozenConfig(folder);
  const config = loadConfig(join(folder, RUN_FILES.config), overrides);
  const experiment = await prepareExperiment(config, emit);
  const stored = federatedStore(folder, null).load();
  if (stored === null) {
    throw new PluralError('RUN_NOT_FOUND', `${folder} has no trained model yet`, {
      hint: `Train it first: pluralllm run ${folder} --resume`,
    });
  }
  const { parameters, features } = stored.state;
  checkFits(experiment, parameters.length, features, emit);
  const model = makeModel(stored.progress.round, parameters);
  const rounds = { done: stored.progress.round, all: config.training.rounds };
  return { folder, experiment, model, rounds };
}

function checkFits(
  { features, predictor }: Experiment,
  parameters: number,
  trainedOn: { readonly width: number; readonly digest: string },
  emit: Emit,
): void {
  if (features.width !== trainedOn.width) {
    throw new PluralError(
      'FEATURES_WIDTH',
      `the model takes features of width ${trainedOn.width}, these are ${features.width} wide`,
      { hint: 'Use the features that the model was trained on (features: in its config.yaml).' },
    );
  }
  if (predictor.layout.size !== parameters) {
    throw new PluralError(
      'MODEL_MISMATCH',
      `the model has ${parameters} parameters, the predictor needs ${predictor.layout.size}`,
      { hint: 'Leave the predictor section as it was when the model was trained.' },
    );
  }
  if (features.digest !== trainedOn.digest) {
    const message = 'these are not the features that the model was trained on; expect lower scores';
    emit({ type: 'warning', message });
  }
}

/** Scores the model of a run on the groups of its experiment. */
export async function evaluateRun({ experiment, model, folder }: TrainedRun, emit: Emit): Promise<Evaluated> {
  const pool = startPool(workerSetup(experiment), experiment.workers);
  try {
    const run = { experiment, pool, folder, fingerprint: fingerprintOf(experiment), emit };
    return await evaluateModel(run, model.parameters);
  } finally {
    await pool.close();
  }
}
