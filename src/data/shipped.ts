import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PluralError } from '../core/errors.ts';
import { fileExists } from '../core/files.ts';
import { suggestion } from '../core/suggest.ts';
import type { Survey } from './survey.ts';
import { isSurveyFolder, readSurvey } from './survey-folder.ts';

/** Two levels up from this file, both as src/data/shipped.ts and as dist/data/shipped.js. */
const DATASETS = fileURLToPath(new URL('../../datasets/', import.meta.url));

function shippedFolder(name: string): string {
  return join(DATASETS, name, 'survey');
}

/** Names of the surveys that come with the package. */
export function listShipped(): readonly string[] {
  if (!fileExists(DATASETS)) return [];
  return readdirSync(DATASETS)
    .filter((name) => isSurveyFolder(shippedFolder(name)))
    .sort();
}

/**
 * Reads a survey by the name of a shipped one or by the path of a survey folder; a shipped name wins.
 * Errors: DATA_UNKNOWN_SURVEY with a suggestion, and those of `readSurvey`.
 */
export function loadSurvey(nameOrPath: string): Survey {
  const shipped = listShipped();
  if (shipped.includes(nameOrPath)) return readSurvey(shippedFolder(nameOrPath));
  if (isSurveyFolder(nameOrPath)) return readSurvey(nameOrPath);
  if (fileExists(nameOrPath)) {
    throw new PluralError(
      'DATA_UNKNOWN_SURVEY',
      `${nameOrPath} is not a survey folder: it has no survey.json`,
      {
        hint: 'Import it first: pluralllm dataset import.',
      },
    );
  }
  throw new PluralError('DATA_UNKNOWN_SURVEY', `there is no survey "${nameOrPath}"`, {
    hint: `${suggestion(nameOrPath, shipped)} Or give the path of a survey folder.`,
  });
}
