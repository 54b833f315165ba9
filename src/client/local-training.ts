import { z } from 'zod';
import { type Config, parseConfig, roundPlugins } from '../config/config.ts';
import { featuresOf, predictorOf, workerSetup } from '../config/worker-setup.ts';
import { asStage } from '../core/brand.ts';
import { invariant, PluralError } from '../core/errors.ts';
import type { Survey } from '../data/survey.ts';
import { translateAnswers } from '../data/translate.ts';
import { usableQuestions } from '../data/usable-questions.ts';
import { evaluatePredictor } from '../evaluate/evaluate.ts';
import type { Features } from '../features/features.ts';
import { featuresProvider } from '../features/table.ts';
import type { TrainablePredictor } from '../predictor/predictor.ts';
import { resolveDevice } from '../training/device.ts';
import { exportModel } from '../training/export-model.ts';
import { makeUpdate } from '../training/make-update.ts';
import { startPool, type TrainingPool } from '../training/pool.ts';
import { predictWith } from '../training/pool-predict.ts';
import { selfCheck } from '../training/self-check.ts';
import { shareFloats } from '../training/shared-data.ts';
import { type RunDefinition, runDigest } from '../wire/run-definition.ts';
import type { Model } from '../wire/stages.ts';
import { encodeSubmission } from '../wire/submission.ts';

/** The part of a round that a group does by itself; fault tests put a stand-in here. */
export interface LocalWork {
  /** Trains from a model and protects the update. The same place and model give the same bytes. */
  submission(
    place: { round: number; step: number },
    model: Model,
  ): Promise<{ bytes: Uint8Array; loss: number }>;
  /** How well a model predicts this group's answers from some of them. */
  score(model: Model): Promise<{ alignment: number; questions: number }>;
  /** The model as an ONNX file. */
  exportModel(model: Model): Uint8Array;
  /** Gives up what is under way, with INTERRUPTED, and frees all threads. */
  close(): Promise<void>;
}

export interface LocalOptions {
  readonly definition: RunDefinition;
  /** The group's name in the run. */
  readonly group: string;
  /** A survey whose first group is this one. */
  readonly answers: Survey;
  /** A file in place of the definition's `features.path`. */
  readonly featuresPath: string | null;
  /** One of DEVICES. Only the CPU gives the bytes that a simulation gives. */
  readonly device: string;
  readonly warn: (message: string) => void;
}

/** What is settled before the first round. */
interface Prepared {
  readonly config: Config;
  readonly survey: Survey;
  readonly heldOutQuestions: readonly number[];
  readonly features: Features;
  readonly predictor: TrainablePredictor;
  /** Questions that the group may train on or tell. */
  readonly usable: number;
}

/** A section of a configuration that is not yet parsed; what is none, `parseConfig` refuses. */
const sectionSchema = z.record(z.string(), z.unknown()).catch({});

/** The definition's configuration with this machine's places and device in it; a path in the definition is not followed. */
function configOf({ definition, featuresPath, device }: LocalOptions): Config {
  const { config, survey, features } = definition.plan;
  if (featuresPath === null && 'path' in featuresProvider(features.provider).options.shape) {
    throw new PluralError('FEATURES_MISSING', "the features of this run come from a file that isn't here", {
      hint: 'Get the file from those who invited you and name it with --features PATH.',
    });
  }
  const { path: _, ...chosen } = sectionSchema.parse(config.features);
  return parseConfig({
    ...config,
    // Where the survey lies does not matter: its questions are in the definition.
    data: { ...sectionSchema.parse(config.data), survey: survey.name, path: null },
    features: { ...chosen, ...(featuresPath === null ? {} : { path: featuresPath }) },
    runtime: { device, workers: 1 },
  });
}

function mismatch(what: string, found: string | number, wanted: string | number): PluralError {
  return new PluralError('MODEL_MISMATCH', `${what}: ${found} here, ${wanted} in the definition of the run`, {
    hint: 'Use the same version of pluralllm, and the same features file, as those who started the run.',
  });
}

function checkDefinition(definition: RunDefinition, { provider, width, digest }: Features): void {
  const wanted = definition.plan.features;
  if (provider !== wanted.provider) throw mismatch('features provider', provider, wanted.provider);
  if (width !== wanted.width) throw mismatch('width of the features', width, wanted.width);
  if (digest !== wanted.digest) throw mismatch('digest of the features', digest, wanted.digest);
}

/** The definition's questions with this group's answers alone. */
function ownSurvey({ definition, answers, group }: LocalOptions): Survey {
  const { name, questions: asked } = definition.plan.survey;
  const questions = asked.map(({ topic, ...question }) => ({
    ...question,
    ...(topic === undefined ? {} : { topic }),
  }));
  const translated = translateAnswers(answers, 0, questions, `the answers of group "${group}"`);
  const { provenance } = answers;
  return asStage({
    name,
    questions,
    groups: [{ id: group, label: group }],
    answers: [translated],
    provenance,
  });
}

function heldOutOf({ plan: { survey } }: RunDefinition): number[] {
  const held = new Set(survey.heldOutQuestions);
  return [...survey.questions.keys()].filter((index) => held.has(survey.questions[index]!.id));
}

async function prepare(options: LocalOptions): Promise<Prepared> {
  const { definition, group, warn } = options;
  const config = configOf(options);
  const survey = ownSurvey(options);
  const heldOutQuestions = heldOutOf(definition);
  const usable = usableQuestions(survey, heldOutQuestions, 0);
  if (usable < 2) {
    throw new PluralError(
      'DATA_CONTEXT_TOO_LARGE',
      `group "${group}" answered ${usable} of the questions that may be trained on; 2 are needed`,
      { hint: 'Ask the group more of the questions of this run.' },
    );
  }
  const features = await featuresOf(config, survey.questions, warn);
  checkDefinition(definition, features);
  const predictor = predictorOf(config, features.width);
  const { parameters } = definition.plan;
  if (predictor.layout.size !== parameters) {
    throw mismatch('number of parameters', predictor.layout.size, parameters);
  }
  return { config, survey, heldOutQuestions, features, predictor, usable };
}

/** The real local work: trains in a worker thread that is kept over rounds. */
class OwnWork implements LocalWork {
  readonly #prepared: Prepared;
  readonly #plugins: ReturnType<typeof roundPlugins>;
  readonly #run: string;
  readonly #group: string;
  #pool: TrainingPool | undefined;
  #closed = false;

  constructor(prepared: Prepared, { definition, group }: LocalOptions) {
    this.#prepared = prepared;
    this.#plugins = roundPlugins(prepared.config);
    this.#run = runDigest(definition);
    this.#group = group;
    invariant(this.#plugins.protection.steps.length === 1, 'groups carry out rounds of one step');
  }

  async submission({ round, step }: { round: number; step: number }, model: Model) {
    const { config, usable } = this.#prepared;
    const { localSteps, rounds } = config.training;
    const { strategy, protection } = this.#plugins;
    const received = model.parameters;
    const { parameters: trained, loss } = await this.#workers().run<'train'>({
      kind: 'train',
      parameters: received,
      group: 0,
      stream: ['group', this.#group],
      firstStep: (round - 1) * localSteps,
      steps: localSteps,
      totalSteps: rounds * localSteps,
      optimizer: null,
    });
    const weight = strategy.weightOf({ questions: usable });
    const update = makeUpdate({ group: this.#group, round, weight, received, trained });
    const origin = { run: this.#run, model: model.digest, step };
    return { bytes: encodeSubmission(protection.protect(update), origin).bytes, loss };
  }

  async score(model: Model) {
    const { config, survey, heldOutQuestions, usable } = this.#prepared;
    const { contextQuestions, draws } = config.evaluation;
    const { evaluation } = await evaluatePredictor({
      survey,
      groups: [{ group: 0, split: 'training' }],
      heldOutQuestions,
      // A group with few answers tells fewer, so that one is left to predict.
      contextQuestions: Math.min(contextQuestions, usable - 1),
      draws,
      seed: config.seed,
      predict: predictWith(this.#workers(), survey.questions, shareFloats(model.parameters)),
    });
    const [score] = evaluation.scores;
    invariant(score !== undefined, 'one group, one score');
    return { alignment: score.alignment, questions: score.questions };
  }

  exportModel(model: Model): Uint8Array {
    return exportModel(this.#prepared, model);
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

async function checkDevice(name: string): Promise<void> {
  const device = resolveDevice(name);
  if (device === 'cpu') return;
  const { works, remark } = await selfCheck(device);
  if (works) return;
  throw new PluralError('DEVICE_UNAVAILABLE', `device "${device}" cannot be used: ${remark}`, {
    hint: 'Run "pluralllm doctor" to see what each device needs, or use --device cpu.',
  });
}

/**
 * Prepares a group's own work for a run, after checking that what is here fits the definition. Errors: MODEL_MISMATCH,
 * FEATURES_MISSING, DATA_CONTEXT_TOO_LARGE, DATA_FORMAT, DATA_OPTION_COUNT, DEVICE_UNAVAILABLE, and those of `parseConfig`.
 */
export async function openLocalWork(options: LocalOptions): Promise<LocalWork> {
  const prepared = await prepare(options);
  await checkDevice(options.device);
  return new OwnWork(prepared, options);
}
