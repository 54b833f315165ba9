import { z } from 'zod';
import { sha256 } from '../core/digest.ts';
import { invariant, PluralError } from '../core/errors.ts';
import { readFileBytes, writeFileAtomic } from '../core/files.ts';
import {
  arrowBytes,
  numberListColumn,
  optionalNumberColumn,
  optionalTextColumn,
  textColumn,
  textListColumn,
} from './arrow-columns.ts';
import { arrowTable, damaged } from './arrow-table.ts';
import { groupIndex } from './group-index.ts';
import { provenanceSchema } from './manifest.ts';
import type { Survey } from './survey.ts';
import { draftAnswersOf, draftQuestionsOf } from './survey-tables.ts';
import { validateSurvey } from './validate.ts';

const FORMAT = 'pluralllm-group/1';
const HEADER_KEY = 'pluralllm.group';

const headerSchema = z.strictObject({
  format: z.literal(FORMAT),
  survey: z.string().min(1),
  group: z.strictObject({ id: z.string(), label: z.string() }),
  provenance: provenanceSchema,
  digest: z.string(),
});

/**
 * The file carries its own digest, taken over the whole file with this mark in its place, so that it can be compared
 * before anything is parsed. Arrow puts metadata behind all data, and the digest is the header's last member: the last
 * place where the prefix occurs is the digest, whatever the texts say.
 */
const DIGEST_PREFIX = 'pluralllm-sha256=';
const DIGEST_MARK = DIGEST_PREFIX + '0'.repeat(64);

function sealed(content: Uint8Array): Buffer {
  const bytes = Buffer.from(content);
  const place = bytes.lastIndexOf(DIGEST_PREFIX);
  invariant(
    place !== -1 && place === bytes.lastIndexOf(DIGEST_MARK),
    'a group file ends with its digest mark',
  );
  bytes.write(DIGEST_PREFIX + sha256(bytes), place, 'latin1');
  return bytes;
}

function checkSeal(file: string, content: Buffer): void {
  const bytes = Buffer.from(content);
  const place = bytes.lastIndexOf(DIGEST_PREFIX);
  if (place === -1) throw damaged(file, 'is not a whole group file: its digest is missing');
  const found = bytes.toString('latin1', place, place + DIGEST_MARK.length);
  bytes.write(DIGEST_MARK, place, 'latin1');
  if (found !== DIGEST_PREFIX + sha256(bytes)) throw damaged(file, 'does not match its own SHA-256');
}

/** The bytes of one group's file: its answers with the questions they need, and nothing of any other group. */
export function groupFileBytes(survey: Survey, groupId: string): Uint8Array {
  const index = groupIndex(survey.groups, groupId);
  const { id, label } = survey.groups[index]!;
  const { source, licence, attribution } = survey.provenance;
  const header: z.output<typeof headerSchema> = {
    format: FORMAT,
    survey: survey.name,
    group: { id, label },
    provenance: { source, licence, attribution },
    digest: DIGEST_MARK,
  };
  const metadata = new Map([[HEADER_KEY, JSON.stringify(header)]]);
  const answers = survey.answers[index]!;
  const questions = answers.map(({ question }) => survey.questions[question]!);
  const columns = [
    textColumn(
      'question_id',
      questions.map((question) => question.id),
    ),
    textColumn(
      'question',
      questions.map(({ text }) => text),
    ),
    textListColumn(
      'options',
      questions.map(({ options }) => options),
    ),
    optionalTextColumn(
      'topic',
      questions.map(({ topic }) => topic),
    ),
    numberListColumn(
      'distribution',
      answers.map(({ distribution }) => distribution),
    ),
    optionalNumberColumn(
      'respondents',
      answers.map(({ respondents }) => respondents),
    ),
  ];
  return sealed(arrowBytes(columns, metadata));
}

/** Writes what a group keeps: one self-contained Arrow file. Errors: DATA_UNKNOWN_GROUP, WRITE_FAILED, DISK_FULL. */
export function writeGroupFile(path: string, survey: Survey, groupId: string): void {
  writeFileAtomic(path, groupFileBytes(survey, groupId));
}

function headerOf(path: string, text: string | undefined): z.output<typeof headerSchema> {
  const parsed = headerSchema.safeParse(text === undefined ? undefined : JSON.parse(text));
  if (parsed.success) return parsed.data;
  throw new PluralError('DATA_FORMAT', `${path} is not a group file of the format ${FORMAT}`, {
    hint: 'Write it again from the survey with this version.',
  });
}

/**
 * Reads a group's file as a survey of that one group, after comparing it with its digest.
 * Errors: FILE_NOT_FOUND, DATA_TRUNCATED, DATA_FORMAT, and those of `validateSurvey`.
 */
export function readGroupFile(path: string): Survey {
  const bytes = readFileBytes(path);
  checkSeal(path, bytes);
  const table = arrowTable(bytes, path);
  const { survey: name, group, provenance } = headerOf(path, table.schema.metadata.get(HEADER_KEY));
  const questions = draftQuestionsOf(table, path, ['question_id', 'question']);
  const answers = draftAnswersOf(
    table,
    path,
    questions.map(() => group.id),
  );
  const validated = validateSurvey({
    name,
    questions,
    groups: [group],
    answers,
    weights: 'shares',
    provenance,
  });
  const [first] = validated.warnings;
  if (first === undefined) return validated.survey;
  throw new PluralError('DATA_FORMAT', `${path} holds answers that were not validated: ${first.message}`);
}

/** Whether a file is, or was before it was damaged, one written by `writeGroupFile`. */
export function isGroupFile(path: string): boolean {
  return readFileBytes(path).includes(FORMAT);
}
