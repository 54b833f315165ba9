import { basename } from 'node:path';
import { z } from 'zod';
import { PluralError } from '../../core/errors.ts';
import { badWeight } from '../check-draft.ts';
import { type DraftAnswer, type DraftQuestion, placeOf, type SurveyDraft, type Where } from '../draft.ts';
import { roundingTolerance } from '../normalise.ts';
import { type WarningTally, warningTally } from '../warning.ts';
import type { ImportedDraft } from './importer.ts';

/** The generic long format: one row per (question, option, group). */
export const LONG_COLUMNS = ['question_id', 'question', 'option', 'group', 'weight'];
/** May be there too; `respondents` counts people per (question, group). */
export const OPTIONAL_LONG_COLUMNS = ['topic', 'respondents'];

/** What a file of the long format does not say itself. */
export const longOptions = z.strictObject({
  /** `auto`: shares when no (question, group) sums to more than 1, counts otherwise. */
  weights: z.enum(['auto', 'shares', 'counts']).default('auto'),
  source: z.string().min(1).optional(),
  licence: z.string().min(1).default('not stated'),
  attribution: z.string().min(1).default('not stated'),
});

/** One row of the long format as its file holds it. */
export interface LongRecord {
  readonly row: number;
  /** Cell by column name; undefined or null where it is empty. */
  value(column: string): unknown;
}

interface Pair {
  /** By index into the question's options; holes are options without a row. */
  readonly weights: (number | undefined)[];
  readonly respondents: number | undefined;
  readonly where: Where;
}

interface LongQuestion {
  readonly text: string;
  readonly topic: string;
  readonly where: Where;
  readonly options: Map<string, number>;
  readonly pairs: Map<string, Pair>;
}

function textCell(record: LongRecord, column: string): string {
  const value = record.value(column);
  return value === null || value === undefined ? '' : String(value);
}

/** Files with types give a number or a bigint, CSV gives text. Errors: DATA_BAD_WEIGHT. */
function numberCell(record: LongRecord, column: string, file: string): number {
  const value = record.value(column);
  const isNumeral = typeof value === 'string' && value.trim() !== '';
  const number =
    typeof value === 'number' || typeof value === 'bigint' || isNumeral ? Number(value) : Number.NaN;
  if (!Number.isFinite(number) || number < 0) {
    const shown = typeof value === 'string' ? JSON.stringify(value) : value;
    throw badWeight({ file, row: record.row, column }, 'the value', shown);
  }
  return number;
}

function requiredCell(record: LongRecord, column: string, file: string): string {
  const text = textCell(record, column);
  if (text.trim() !== '') return text;
  throw new PluralError('DATA_FORMAT', `${placeOf({ file, row: record.row, column })}: the cell is empty`);
}

function questionFor(questions: Map<string, LongQuestion>, record: LongRecord, file: string): LongQuestion {
  const id = requiredCell(record, 'question_id', file);
  const text = textCell(record, 'question');
  const topic = textCell(record, 'topic');
  const known = questions.get(id);
  if (known === undefined) {
    const where = { file, row: record.row, column: 'question' };
    const question = {
      text,
      topic,
      where,
      options: new Map<string, number>(),
      pairs: new Map<string, Pair>(),
    };
    questions.set(id, question);
    return question;
  }
  const changed = known.text !== text ? 'question' : known.topic !== topic ? 'topic' : undefined;
  if (changed !== undefined) {
    const place = placeOf({ file, row: record.row, column: changed });
    throw new PluralError(
      'DATA_FORMAT',
      `${place}: differs from the first row of question "${id}" (${placeOf(known.where)})`,
      {
        hint: 'All rows of one question_id must have the same question text and topic.',
      },
    );
  }
  return known;
}

function pairFor({ pairs }: LongQuestion, group: string, record: LongRecord, file: string): Pair {
  const hasCount = textCell(record, 'respondents') !== '';
  const respondents = hasCount ? numberCell(record, 'respondents', file) : undefined;
  const known = pairs.get(group);
  if (known === undefined) {
    const pair = { weights: [], respondents, where: { file, row: record.row, column: 'weight' } };
    pairs.set(group, pair);
    return pair;
  }
  if (known.respondents === respondents) return known;
  const place = placeOf({ file, row: record.row, column: 'respondents' });
  throw new PluralError(
    'DATA_FORMAT',
    `${place}: differs from the group's first row for this question (${placeOf(known.where)})`,
    {
      hint: 'respondents counts people per question and group: repeat the same number on every option.',
    },
  );
}

function addRecord(questions: Map<string, LongQuestion>, record: LongRecord, file: string): void {
  const question = questionFor(questions, record, file);
  const option = requiredCell(record, 'option', file);
  const group = requiredCell(record, 'group', file);
  const index = question.options.get(option) ?? question.options.size;
  question.options.set(option, index);
  const { weights } = pairFor(question, group, record, file);
  if (weights[index] !== undefined) {
    const place = placeOf({ file, row: record.row, column: 'option' });
    throw new PluralError('DATA_DUPLICATE', `${place}: "${option}" of group "${group}" is there already`, {
      hint: 'Keep one row per question, option and group.',
    });
  }
  weights[index] = numberCell(record, 'weight', file);
}

function answersOf(questions: ReadonlyMap<string, LongQuestion>, tally: WarningTally): DraftAnswer[] {
  const answers: DraftAnswer[] = [];
  for (const [id, { options, pairs }] of questions) {
    for (const [group, { weights, respondents, where }] of pairs) {
      const filled = Array.from({ length: options.size }, (_, option) => weights[option] ?? 0);
      const isPartial = filled.some((_, option) => weights[option] === undefined);
      if (isPartial) tally.note('option-filled-with-zero', `${placeOf(where)} (group "${group}")`);
      answers.push({
        question: id,
        group,
        weights: filled,
        where,
        ...(respondents === undefined ? {} : { respondents }),
      });
    }
  }
  return answers;
}

function looksLikeShares(answers: readonly DraftAnswer[]): boolean {
  return answers.every(({ weights }) => {
    let sum = 0;
    for (let option = 0; option < weights.length; option++) sum += weights[option]!;
    return sum <= 1 + roundingTolerance(weights.length);
  });
}

function draftQuestions(questions: ReadonlyMap<string, LongQuestion>): DraftQuestion[] {
  return [...questions].map(([id, { text, topic, where, options }]) => ({
    id,
    text,
    options: [...options.keys()],
    where,
    ...(topic === '' ? {} : { topic }),
  }));
}

/**
 * Puts a survey together from the rows of a long file, in any order; options and groups keep the order in which they
 * first appear. Errors: DATA_FORMAT, DATA_BAD_WEIGHT, DATA_DUPLICATE, each with row and column.
 */
export async function assembleLong(
  records: AsyncIterable<LongRecord> | Iterable<LongRecord>,
  file: string,
  name: string,
  options: z.output<typeof longOptions>,
): Promise<ImportedDraft> {
  const questions = new Map<string, LongQuestion>();
  for await (const record of records) addRecord(questions, record, file);
  const tally = warningTally();
  const answers = answersOf(questions, tally);
  const kind = looksLikeShares(answers) ? 'shares' : 'counts';
  const draft: SurveyDraft = {
    name,
    questions: draftQuestions(questions),
    groups: [...new Set(answers.map(({ group }) => group))].map((id) => ({ id, label: id })),
    answers,
    weights: options.weights === 'auto' ? kind : options.weights,
    provenance: {
      source: options.source ?? basename(file),
      licence: options.licence,
      attribution: options.attribution,
    },
  };
  return { draft, warnings: tally.list() };
}
