import { answerLookup } from '../../data/answer-lookup.ts';
import type { Survey } from '../../data/survey.ts';

/** Equal shares, shape [options]. */
export function uniformShares(options: number): Float64Array {
  return new Float64Array(options).fill(1 / options);
}

/** One training group's distribution on a question. */
export interface PooledAnswer {
  /** Index into `Survey.groups`. */
  readonly group: number;
  readonly distribution: Float64Array;
}

/** What the training groups other than the asked one answered on a question; nothing on excluded questions. */
export type AnswerPool = (question: number, askedGroup: number) => readonly PooledAnswer[];

/** The pool of a survey's training groups. */
export function answerPool(
  survey: Survey,
  trainingGroups: readonly number[],
  excludedQuestions: readonly number[],
): AnswerPool {
  const lookup = answerLookup(survey);
  const excluded = new Set(excludedQuestions);
  return (question, askedGroup) => {
    if (excluded.has(question)) return [];
    return trainingGroups.flatMap((group) => {
      const distribution = group === askedGroup ? undefined : lookup(group, question);
      return distribution === undefined ? [] : [{ group, distribution }];
    });
  };
}

/** The weighted mean of pooled answers, shape [options]; uniform where nobody answered. */
export function weightedMean(
  pooled: readonly PooledAnswer[],
  weightOf: (group: number) => number,
  options: number,
): Float64Array {
  if (pooled.length === 0) return uniformShares(options);
  const sum = new Float64Array(options);
  let total = 0;
  for (const { group, distribution } of pooled) {
    const weight = weightOf(group);
    total += weight;
    for (let option = 0; option < options; option++) sum[option]! += weight * distribution[option]!;
  }
  return sum.map((value) => value / total);
}

/** Number of options of a question. */
export function optionCount(survey: Survey, question: number): number {
  return survey.questions[question]!.options.length;
}
