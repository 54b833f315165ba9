import { PluralError } from '../core/errors.ts';
import { fileExists, isFile } from '../core/files.ts';
import { isGroupFile, readGroupFile } from '../data/group-file.ts';
import { groupIndex } from '../data/group-index.ts';
import { importSurvey } from '../data/import.ts';
import { listShipped, loadSurvey } from '../data/shipped.ts';
import type { Survey } from '../data/survey.ts';

async function surveyOf(source: string, warn: (message: string) => void): Promise<Survey> {
  // A file of one's own wins over a shipped survey of the same name.
  if (!fileExists(source) && listShipped().includes(source)) return loadSurvey(source);
  if (fileExists(source) && isFile(source) && isGroupFile(source)) return readGroupFile(source);
  const imported = await importSurvey({ format: 'auto', path: source });
  for (const { message } of imported.warnings) warn(message);
  return imported.survey;
}

/** One group's answers, in the survey that they came in. */
export interface OwnAnswers {
  readonly survey: Survey;
  readonly groupId: string;
}

/**
 * A group's answers from its own file, from any file or folder that `dataset import` reads, or from a shipped survey.
 * `groupId` chooses where there are several. Errors: USAGE, DATA_UNKNOWN_GROUP, and those of the import.
 */
export async function readOwnAnswers(
  source: string,
  groupId: string | undefined,
  warn: (message: string) => void,
): Promise<OwnAnswers> {
  const survey = await surveyOf(source, warn);
  const { groups } = survey;
  if (groupId === undefined && groups.length > 1) {
    throw new PluralError('USAGE', `${source} holds ${groups.length} groups`, {
      hint: `Say which one is yours with --group: ${groups.map(({ id }) => id).join(', ')}`,
    });
  }
  const index = groupId === undefined ? 0 : groupIndex(groups, groupId);
  return { survey, groupId: groups[index]!.id };
}
