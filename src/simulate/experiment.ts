import { availableParallelism } from 'node:os';
import type { Config } from '../config/config.ts';
import { roundPlugins } from '../config/round-plugins.ts';
import { featuresOf, predictorOf, shapeOf, workerSetup } from '../config/worker-setup.ts';
import { PluralError } from '../core/errors.ts';
import { importSurvey } from '../data/import.ts';
import { loadSurvey } from '../data/shipped.ts';
import { splitGroups, splitQuestions } from '../data/split.ts';
import type { Survey } from '../data/survey.ts';
import { usableQuestions } from '../data/usable-questions.ts';
import type { Features } from '../features/features.ts';
import type { ParameterLayout } from '../predictor/layout.ts';
import type { TrainablePredictor } from '../predictor/predictor.ts';
import { type Device, resolveDevice } from '../training/device.ts';
import type { WorkerSetup } from '../training/jobs.ts';
import { checkDevice } from '../training/self-check.ts';
import type { Emit } from './events.ts';

/** Everything that is settled before the first round: data, split, features, predictor. */
export interface Experiment {
  readonly config: Config;
  readonly survey: Survey;
  /** Indices of groups that train, as drawn or listed. */
  readonly trainingGroups: readonly number[];
  /** Indices of groups that only evaluation sees. */
  readonly unseenGroups: readonly number[];
  /** Indices of questions kept out of training. */
  readonly heldOutQuestions: readonly number[];
  readonly features: Features;
  readonly predictor: TrainablePredictor;
  readonly device: Device;
  readonly workers: number;
}

/** Strategy and protection of an experiment. `layout`: that of an update, where it is not the predictor's. Errors: CONFIG_CONFLICT. */
export function pluginsOf(experiment: Experiment, layout: ParameterLayout = experiment.predictor.layout) {
  const { config, survey, heldOutQuestions } = experiment;
  return roundPlugins(config, survey.questions.length - heldOutQuestions.length, layout);
}

async function surveyOf(config: Config, emit: Emit): Promise<Survey> {
  const { survey, path, format, options } = config.data;
  if (path === null) return loadSurvey(survey!);
  const imported = await importSurvey({ format, path, options });
  for (const { message } of imported.warnings) emit({ type: 'warning', message });
  return imported.survey;
}

/** Every training group needs two questions that it may train on; every group its context and one target. */
function checkGroups(experiment: Experiment): void {
  const { survey, trainingGroups, unseenGroups, heldOutQuestions, config } = experiment;
  const needed = config.evaluation.contextQuestions + 1;
  for (const group of [...trainingGroups, ...unseenGroups]) {
    const usable = usableQuestions(survey, heldOutQuestions, group);
    if (usable >= needed) continue;
    const { id } = survey.groups[group]!;
    throw new PluralError(
      'DATA_CONTEXT_TOO_LARGE',
      `group "${id}" answered ${usable} usable questions, fewer than ${needed - 1} context questions and a target`,
      {
        hint:
          usable < 2
            ? 'Leave the group out (data.groups), or hold fewer questions out.'
            : `Set evaluation.contextQuestions to at most ${usable - 1}, or leave the group out.`,
      },
    );
  }
}

/** One worker per core; on other devices one, as the device is one, and each worker would keep its own copies there. */
function workersFor(device: Device): number {
  return device === 'cpu' ? availableParallelism() : 1;
}

/** Loads and prepares what a configuration names. Warnings of the import go to `emit`. */
export async function prepareExperiment(config: Config, emit: Emit): Promise<Experiment> {
  const survey = await surveyOf(config, emit);
  const { data, runtime } = config;
  const seed = data.splitSeed ?? config.seed;
  const split = splitGroups(survey, { ...data.groups, seed });
  const features = await featuresOf(config, survey.questions, (message) =>
    emit({ type: 'warning', message }),
  );
  const predictor = predictorOf(config, shapeOf(features));
  const device = resolveDevice(runtime.device);
  const experiment: Experiment = {
    config,
    survey,
    trainingGroups: split.training,
    unseenGroups: split.unseen,
    heldOutQuestions: splitQuestions(survey, { heldOutFraction: data.heldOutQuestions, seed }),
    features,
    predictor,
    device,
    workers: runtime.workers === 'auto' ? workersFor(device) : runtime.workers,
  };
  checkGroups(experiment);
  await checkDevice(experiment.device);
  return experiment;
}

/** What the workers of an experiment are started with. */
export function setupOf(experiment: Experiment): WorkerSetup {
  return workerSetup(experiment.config, experiment);
}
