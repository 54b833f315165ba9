import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { sha256 } from '../core/digest.ts';
import { asPluralError, PluralError } from '../core/errors.ts';
import { fileExists, readFileBytes, readFileText, writeFileAtomic } from '../core/files.ts';
import type { Question } from '../data/survey.ts';
import type { FeatureVectors } from './provider.ts';
import { encodeVectors, readVectors } from './vector-file.ts';

/** Where computed features are kept: `PLURALLLM_CACHE`, else `pluralllm` in the XDG cache folder. */
export function defaultCacheFolder(environment: Readonly<Record<string, string | undefined>>): string {
  const own = environment['PLURALLLM_CACHE'];
  if (own !== undefined && own !== '') return own;
  // The XDG base directory specification says that a relative path must be ignored.
  const xdg = environment['XDG_CACHE_HOME'];
  const base = xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.cache');
  return join(base, 'pluralllm');
}

/** The file that keeps the features of that digest. */
export function cachePath(folder: string, digest: string): string {
  return join(folder, 'features', `${digest}.arrow`);
}

function keysOf(questions: readonly Question[]): { ids: string[]; options: Int32Array } {
  const ids = questions.flatMap(({ id, options }) => options.map(() => id));
  const options = Int32Array.from(questions.flatMap((question) => [...question.options.keys()]));
  return { ids, options };
}

function sealPath(folder: string, digest: string): string {
  return `${cachePath(folder, digest)}.sha256`;
}

/** Ties the content to its name. */
function sealOf(digest: string, content: Uint8Array): string {
  return sha256(digest, content);
}

function readChecked(folder: string, digest: string, questions: readonly Question[]): FeatureVectors {
  const path = cachePath(folder, digest);
  const content = readFileBytes(path);
  // Before parsing: the Arrow parser can run on for ever on damaged bytes.
  if (readFileText(sealPath(folder, digest)) !== sealOf(digest, content)) {
    throw new PluralError('DATA_FORMAT', `${path} is damaged`);
  }
  const { width, values, options } = readVectors(content, path);
  const rows = questions.reduce((sum, question) => sum + question.options.length, 0);
  if (options.length !== rows) throw new PluralError('DATA_FORMAT', `${path} is of other questions`);
  return { width, rows: values };
}

/** The cached vectors, or undefined (with a warning where a file is there but spoilt): they are computed again. */
export function readCached(
  folder: string,
  digest: string,
  questions: readonly Question[],
  warn: (message: string) => void,
): FeatureVectors | undefined {
  if (!fileExists(cachePath(folder, digest))) return undefined;
  try {
    return readChecked(folder, digest, questions);
  } catch (thrown) {
    warn(`features cache: ${asPluralError(thrown).message}; computing the features again`);
    return undefined;
  }
}

/** Keeps the vectors for the next time. A cache that cannot be written costs time only, so it is a warning. */
export function writeCached(
  folder: string,
  digest: string,
  questions: readonly Question[],
  { width, rows }: FeatureVectors,
  warn: (message: string) => void,
): void {
  try {
    const content = encodeVectors({ ...keysOf(questions), width, values: rows });
    writeFileAtomic(cachePath(folder, digest), content);
    writeFileAtomic(sealPath(folder, digest), sealOf(digest, content));
  } catch (thrown) {
    warn(`features cache: ${asPluralError(thrown).message}; going on without`);
  }
}
