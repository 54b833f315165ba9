import type { Survey } from './survey.ts';

/** A group's distribution on a question (both by index), or undefined where it did not answer. */
export type AnswerLookup = (group: number, question: number) => Float64Array | undefined;

/** Indexes the answers of a survey. */
export function answerLookup(survey: Survey): AnswerLookup {
  const byGroup = survey.answers.map(
    (answers) => new Map(answers.map(({ question, distribution }) => [question, distribution])),
  );
  return (group, question) => byGroup[group]?.get(question);
}
