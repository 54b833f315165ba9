import { asStage } from '../core/brand.ts';
import { digestOf } from '../core/digest.ts';
import { invariant, PluralError } from '../core/errors.ts';
import type { Question } from '../data/survey.ts';
import { defaultCacheFolder, readCached, writeCached } from './cache.ts';
import type { Features } from './features.ts';
import type { FeatureSource, FeaturesProvider, FeatureVectors } from './provider.ts';

/** Raised when the digest or the meaning of cached files changes. */
const DIGEST_VERSION = 1;

/** What to compute features from. */
export interface FeaturesRequest {
  readonly provider: FeaturesProvider;
  /** The provider's options as read from a configuration; parsed by the provider. */
  readonly options?: unknown;
  readonly questions: readonly Question[];
  /** Where computed features are kept; `null` for nowhere. Default: `defaultCacheFolder()`. */
  readonly cacheFolder?: string | null;
  /** Told about a cache file that could not be used or written. Default: a Node.js warning. */
  readonly warn?: (message: string) => void;
}

/** Shape [questions + 1]: the rows of question q are `offsets[q] .. offsets[q + 1] - 1`. */
export function offsetsOf(questions: readonly Question[]): Int32Array {
  const offsets = new Int32Array(questions.length + 1);
  for (const [q, question] of questions.entries()) offsets[q + 1] = offsets[q]! + question.options.length;
  return offsets;
}

function featuresDigest(
  provider: FeaturesProvider,
  source: FeatureSource,
  questions: readonly Question[],
): string {
  const texts = questions.map(({ id, text, options }) => [id, text, options]);
  return digestOf([DIGEST_VERSION, provider.name, provider.version, source.identity, texts]);
}

/** Errors: NOT_FINITE, naming question, option and column. */
function checkFinite({ width, rows }: FeatureVectors, questions: readonly Question[]): void {
  let row = 0;
  for (const { id, options } of questions) {
    for (const option of options) {
      const column = rows.subarray(row * width, (row + 1) * width).findIndex((x) => !Number.isFinite(x));
      if (column >= 0) {
        throw new PluralError(
          'NOT_FINITE',
          `feature ${column} of question ${id}, option "${option}" is ${rows[row * width + column]}`,
          { hint: 'Correct the source of the vectors; training on them would spoil the model.' },
        );
      }
      row++;
    }
  }
}

async function vectorsOf(
  source: FeatureSource,
  digest: string,
  request: FeaturesRequest,
): Promise<FeatureVectors> {
  const { questions, cacheFolder = defaultCacheFolder(process.env) } = request;
  const warn = request.warn ?? ((message: string) => process.emitWarning(message));
  const cache = source.cacheable ? cacheFolder : null;
  const cached = cache === null ? undefined : readCached(cache, digest, questions, warn);
  if (cached !== undefined) return cached;
  const vectors = await source.compute(questions);
  checkFinite(vectors, questions);
  if (cache !== null) writeCached(cache, digest, questions, vectors, warn);
  return vectors;
}

/**
 * Features of all options of the questions, from the cache where the same were computed before.
 *
 * The digest covers provider, version, options and texts, so it is also what a model records that it was trained on.
 * Errors: CONFIG_UNKNOWN_KEY, CONFIG_INVALID, NOT_FINITE, and those of the provider.
 */
export async function computeFeatures(request: FeaturesRequest): Promise<Features> {
  const { provider, questions } = request;
  const source = provider.open(request.options);
  const digest = featuresDigest(provider, source, questions);
  const offsets = offsetsOf(questions);
  const { width, rows } = await vectorsOf(source, digest, request);
  invariant(rows.length === width * offsets[questions.length]!, `features of ${provider.name}: wrong shape`);
  return asStage({ provider: provider.name, width, rows, offsets, digest });
}
