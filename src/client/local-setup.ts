import { z } from 'zod';
import { type Config, parseConfig } from '../config/config.ts';
import { roundsLayout } from '../config/sharded-run.ts';
import { featuresOf, predictorOf, shapeOf } from '../config/worker-setup.ts';
import { asStage } from '../core/brand.ts';
import { PluralError } from '../core/errors.ts';
import type { Survey } from '../data/survey.ts';
import { translateAnswers } from '../data/translate.ts';
import { usableQuestions } from '../data/usable-questions.ts';
import type { Features } from '../features/features.ts';
import { featuresProvider } from '../features/table.ts';
import type { TrainablePredictor } from '../predictor/predictor.ts';
import type { RunDefinition } from '../wire/run-definition.ts';

/** A group's part in a run, before it is looked at. */
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
export interface Prepared {
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

/**
 * Checks that what is here fits the definition of a run. Errors: MODEL_MISMATCH, FEATURES_MISSING,
 * DATA_CONTEXT_TOO_LARGE, DATA_FORMAT, DATA_OPTION_COUNT, and those of `parseConfig`.
 */
export async function prepare(options: LocalOptions): Promise<Prepared> {
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
  const predictor = predictorOf(config, shapeOf(features));
  const { parameters } = definition.plan;
  const { size } = roundsLayout(config, predictor.layout);
  if (size !== parameters) throw mismatch('number of parameters', size, parameters);
  return { config, survey, heldOutQuestions, features, predictor, usable };
}
