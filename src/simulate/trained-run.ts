import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { canonicalJson } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import type { Evaluated } from '../evaluate/evaluate.ts';
import { startPool } from '../training/pool.ts';
import { makeModel } from '../wire/model.ts';
import type { Model } from '../wire/stages.ts';
import { evaluateModel } from './context.ts';
import type { Emit } from './events.ts';
import { type Experiment, prepareExperiment, setupOf } from './experiment.ts';
import { type FederatedState, federatedStore } from './federated-state.ts';
import { fingerprintOf } from './progress.ts';
import { frozenConfigPath } from './run-folder.ts';

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
  const config = loadConfig(frozenConfigPath(folder), overrides);
  const experiment = await prepareExperiment(config, emit);
  const stored = federatedStore(folder, null).load();
  if (stored === null) {
    throw new PluralError('RUN_NOT_FOUND', `${folder} has no trained model yet`, {
      hint: `Train it first: pluralllm run ${folder} --resume`,
    });
  }
  checkWhole(config);
  checkFits(experiment, stored.state, emit);
  checkSplit(experiment, stored.state.split);
  const model = makeModel(stored.progress.round, stored.state.parameters);
  const rounds = { done: stored.progress.round, all: config.training.rounds };
  return { folder, experiment, model, rounds };
}

/** Front and head alone predict nothing. */
function checkWhole({ sharding }: Config): void {
  if (sharding === null) return;
  throw new PluralError('MODEL_MISMATCH', 'the run is sharded: its middle stages are with its keepers', {
    hint: 'Its report has its scores. A run with sharding=null has a model that can be taken along.',
  });
}

/** The features and the predictor must be those that the parameters were trained for. */
function checkFits({ features, predictor }: Experiment, trained: FederatedState, emit: Emit): void {
  if (features.width !== trained.features.width) {
    throw new PluralError(
      'FEATURES_WIDTH',
      `the model takes features of width ${trained.features.width}, these are ${features.width} wide`,
      { hint: 'Use the features that the model was trained on (features: in its config.yaml).' },
    );
  }
  const wanted = canonicalJson(trained.predictor);
  if (wanted !== canonicalJson({ name: predictor.name, options: predictor.options })) {
    throw new PluralError('MODEL_MISMATCH', `the model was trained as another predictor: ${wanted}`, {
      hint: 'Leave the predictor section as it was when the model was trained.',
    });
  }
  if (features.digest !== trained.features.digest) {
    const message = 'these are not the features that the model was trained on; expect lower scores';
    emit({ type: 'warning', message });
  }
}

/** Nobody may be called unseen whose answers the model was trained on. */
function checkSplit(experiment: Experiment, trained: FederatedState['split']): void {
  const { survey, unseenGroups, heldOutQuestions } = experiment;
  const group = unseenGroups
    .map((index) => survey.groups[index]!.id)
    .find((id) => trained.trainingGroups.includes(id));
  const question = heldOutQuestions
    .map((index) => survey.questions[index]!.id)
    .find((id) => !trained.heldOutQuestions.includes(id));
  if (group === undefined && question === undefined) return;
  const what = group === undefined ? `question "${question}"` : `group "${group}"`;
  throw new PluralError('MODEL_MISMATCH', `${what} would count as unseen, but the model was trained on it`, {
    hint: 'Another seed draws another split: fix it with data.splitSeed, or list the groups by name.',
  });
}

/** Scores the model of a run on the groups of its experiment. */
export async function evaluateRun({ experiment, model, folder }: TrainedRun, emit: Emit): Promise<Evaluated> {
  const pool = startPool(setupOf(experiment), experiment.workers);
  try {
    const run = { experiment, pool, folder, fingerprint: fingerprintOf(experiment), emit };
    return await evaluateModel(run, model.parameters);
  } finally {
    await pool.close();
  }
}
