import type { Stage } from '../core/brand.ts';
import { invariant } from '../core/errors.ts';

interface FeaturesFields {
  /** Name of the provider that made them. */
  readonly provider: string;
  /** Length of one vector. */
  readonly width: number;
  /** All vectors, row-major, shape [rows, width]: one row per (question, option), question by question. */
  readonly rows: Float32Array;
  /** Shape [questions + 1]: the rows of question q are `offsets[q] .. offsets[q + 1] - 1`. */
  readonly offsets: Int32Array;
  /** SHA-256 over (provider, options, texts): the cache key, and what a model records that it was trained on. */
  readonly digest: string;
}

/** One vector per (question, option) of a survey. */
export type Features = Stage<'Features', FeaturesFields>;

/** The vector of one option, shape [width], a view. */
export function featureOf(features: Features, question: number, option: number): Float32Array {
  const start = features.offsets[question];
  const end = features.offsets[question + 1];
  invariant(start !== undefined && end !== undefined && option < end - start, 'option outside the features');
  return features.rows.subarray((start + option) * features.width, (start + option + 1) * features.width);
}
