import type { Table, Vector } from 'apache-arrow';
import {
  arrowBytes,
  dictionaryColumn,
  numberListColumn,
  optionalNumberColumn,
  optionalTextColumn,
  textColumn,
  textListColumn,
} from './arrow-columns.ts';
import { arrowTable, columnValues, isList, isNumberOrNull, isText, isTextOrNull } from './arrow-table.ts';
import type { DraftAnswer, DraftQuestion } from './draft.ts';
import type { Answer, Question, Survey } from './survey.ts';

/** One answer with the names it refers to. */
export interface NamedAnswer {
  readonly question: Question;
  readonly group: string;
  readonly answer: Answer;
}

/** All answers of a survey, group by group, each in ascending order of question. */
export function namedAnswers({ questions, groups, answers }: Survey): NamedAnswer[] {
  return groups.flatMap(({ id }, group) =>
    answers[group]!.map((answer) => ({ question: questions[answer.question]!, group: id, answer })),
  );
}

/** `questions.arrow`: id, text, options list<utf8>, topic or null. */
export function questionsBytes(questions: readonly Question[]): Uint8Array {
  return arrowBytes([
    textColumn(
      'id',
      questions.map(({ id }) => id),
    ),
    textColumn(
      'text',
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
  ]);
}

/** `responses.arrow`: question_id and group as dictionaries, distribution list<float64>, respondents or null. */
export function responsesBytes(survey: Survey): Uint8Array {
  const rows = namedAnswers(survey);
  return arrowBytes([
    dictionaryColumn(
      'question_id',
      rows.map(({ question }) => question.id),
      0,
    ),
    dictionaryColumn(
      'group',
      rows.map(({ group }) => group),
      1,
    ),
    numberListColumn(
      'distribution',
      rows.map(({ answer }) => answer.distribution),
    ),
    optionalNumberColumn(
      'respondents',
      rows.map(({ answer }) => answer.respondents),
    ),
  ]);
}

/** Question columns of a table; `idColumn` is what the table calls the question's id. */
export function draftQuestionsOf(
  table: Table,
  file: string,
  [idColumn, textName]: readonly [string, string],
): DraftQuestion[] {
  const texts = columnValues(table, textName, file, isText);
  const options = columnValues(table, 'options', file, isList).map(textsOf);
  const topics = columnValues(table, 'topic', file, isTextOrNull);
  return columnValues(table, idColumn, file, isText).map((id, row) => {
    const topic = topics[row] ?? undefined;
    return {
      id,
      text: texts[row]!,
      options: options[row]!,
      where: { file, row: row + 1 },
      ...(topic === undefined ? {} : { topic }),
    };
  });
}

/** Answer columns of a table; `groups` holds one group id per row. Errors: DATA_FORMAT. */
export function draftAnswersOf(table: Table, file: string, groups: readonly string[]): DraftAnswer[] {
  const distributions = columnValues(table, 'distribution', file, isList);
  const respondents = columnValues(table, 'respondents', file, isNumberOrNull);
  return columnValues(table, 'question_id', file, isText).map((question, row) => {
    const count = respondents[row] ?? undefined;
    return {
      question,
      group: groups[row]!,
      weights: numbersOf(distributions[row]!),
      where: { file, row: row + 1, column: 'distribution' },
      ...(count === undefined ? {} : { respondents: count }),
    };
  });
}

/** Reads `questions.arrow` from bytes whose digest was checked. Errors: DATA_FORMAT, DATA_TRUNCATED. */
export function readQuestions(bytes: Buffer, file: string): DraftQuestion[] {
  return draftQuestionsOf(arrowTable(bytes, file), file, ['id', 'text']);
}

/** Reads `responses.arrow` from bytes whose digest was checked. Errors: DATA_FORMAT, DATA_TRUNCATED. */
export function readResponses(bytes: Buffer, file: string): DraftAnswer[] {
  const table = arrowTable(bytes, file);
  return draftAnswersOf(table, file, columnValues(table, 'group', file, isText));
}

function textsOf(list: Vector): string[] {
  return Array.from({ length: list.length }, (_, index) => String(list.get(index)));
}

function numbersOf(list: Vector): Float64Array {
  return Float64Array.from({ length: list.length }, (_, index) => Number(list.get(index)));
}
