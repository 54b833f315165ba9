import type { z } from 'zod';
import { parseOptions } from '../core/options.ts';
import type { Question } from '../data/survey.ts';

/** What a provider computes: one vector per (question, option), question by question. */
export interface FeatureVectors {
  /** Length of one vector. */
  readonly width: number;
  /** Row-major, shape [all options of all questions, width]. */
  readonly rows: Float32Array;
}

/** A provider with its options settled, ready to compute. */
export interface FeatureSource {
  /** Everything besides the texts that decides the vectors, as JSON: goes into the digest. */
  readonly identity: unknown;
  /** False where reading a cached copy would cost as much as computing again. */
  readonly cacheable: boolean;
  compute(questions: readonly Question[]): Promise<FeatureVectors>;
}

/** A features plug-in as its author writes it. */
export interface FeaturesDefinition<Schema extends z.ZodObject> {
  readonly name: string;
  /** One line for `pluralllm features` and the documentation. */
  readonly describe: string;
  /** Raised whenever the same input gives other vectors than before, so that old cache files are not used. */
  readonly version: number;
  /** Strict, with a default for all that has a sensible one. */
  readonly options: Schema;
  create(options: z.output<Schema>): FeatureSource;
}

/** A features plug-in as the table holds it: its options are parsed at its own door. */
export interface FeaturesProvider {
  readonly name: string;
  readonly describe: string;
  readonly version: number;
  readonly options: z.ZodObject;
  /** Errors: CONFIG_UNKNOWN_KEY, CONFIG_INVALID, and what the provider needs to read. */
  open(options: unknown): FeatureSource;
}

/** Makes a features plug-in; add the result to the table in table.ts and call the conformance suite on it. */
export function defineFeatures<Schema extends z.ZodObject>(
  definition: FeaturesDefinition<Schema>,
): FeaturesProvider {
  const { name, describe, version, options: schema } = definition;
  const open = (options: unknown): FeatureSource =>
    definition.create(parseOptions('features', schema, options));
  return { name, describe, version, options: schema, open };
}
