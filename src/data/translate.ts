import { PluralError } from '../core/errors.ts';
import { suggestion } from '../core/suggest.ts';
import type { Answer, Question, Survey } from './survey.ts';

/** An answer of a file in terms of other questions: same question by id, options matched by their text. */
function translated(questions: readonly Question[], asked: Question, answer: Answer, where: string): Answer {
  const index = questions.findIndex(({ id }) => id === asked.id);
  const known = questions[index];
  if (known === undefined) {
    const ids = questions.map(({ id }) => id);
    throw new PluralError('DATA_FORMAT', `${where}: the model's survey has no question "${asked.id}"`, {
      hint: suggestion(asked.id, ids),
    });
  }
  const foreign = asked.options.find((option) => !known.options.includes(option));
  if (foreign !== undefined) {
    throw new PluralError(
      'DATA_OPTION_COUNT',
      `${where}: question "${asked.id}" has no option "${foreign}"`,
      {
        hint: `Its options are: ${known.options.join(' | ')}`,
      },
    );
  }
  // A long-format file may leave an option out that nobody chose, and has its own order.
  const shareOf = (option: string) => answer.distribution[asked.options.indexOf(option)] ?? 0;
  return { ...answer, question: index, distribution: Float64Array.from(known.options, shareOf) };
}

/**
 * One group's answers in terms of the questions that a model knows, ascending by question. `where` names their file
 * in messages. Errors: DATA_FORMAT for an unknown question, DATA_OPTION_COUNT for an unknown option.
 */
export function translateAnswers(
  own: Survey,
  group: number,
  questions: readonly Question[],
  where: string,
): Answer[] {
  return own.answers[group]!.map((answer) =>
    translated(questions, own.questions[answer.question]!, answer, where),
  ).sort((a, b) => a.question - b.question);
}
