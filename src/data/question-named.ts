import { PluralError } from '../core/errors.ts';
import { suggestion } from '../core/suggest.ts';
import type { Survey } from './survey.ts';

/** Index of a question of a survey; USAGE with the nearest id where there is none. */
export function questionNamed({ questions }: Pick<Survey, 'questions'>, id: string): number {
  const index = questions.findIndex((question) => question.id === id);
  if (index >= 0) return index;
  const known = questions.map((question) => question.id);
  throw new PluralError('USAGE', `there is no question "${id}"`, { hint: suggestion(id, known) });
}
