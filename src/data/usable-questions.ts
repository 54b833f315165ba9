import type { Survey } from './survey.ts';

/** How many questions of a group may be trained on or told: those that are not held out. */
export function usableQuestions(
  { answers }: Survey,
  heldOutQuestions: readonly number[],
  group: number,
): number {
  return answers[group]!.filter(({ question }) => !heldOutQuestions.includes(question)).length;
}
