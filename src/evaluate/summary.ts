import { invariant, PluralError } from '../core/errors.ts';
import type { Summary } from './evaluation.ts';
import { groupMeans, meanOf, type QuestionScore, scoresBy } from './group-scores.ts';

/** Population standard deviation over the mean; 0 for a single value. The values must have a positive mean. */
export function coefficientOfVariation(values: readonly number[]): number {
  const mean = meanOf(values);
  return Math.sqrt(meanOf(values.map((value) => (value - mean) ** 2))) / mean;
}

/**
 * Mean over questions of 1 / (1 + CoV of the groups' scores on that question) (arXiv 2604.04261). A question that only
 * one group was scored on says nothing about fairness and is left out; 1 where that leaves none.
 */
function questionFairness(scores: readonly QuestionScore[]): number {
  const shared = [...scoresBy(scores, ({ question }) => question).values()].filter((own) => own.length > 1);
  if (shared.length === 0) return 1;
  return meanOf(shared.map((own) => 1 / (1 + coefficientOfVariation(own.map((score) => score.alignment)))));
}

function checkFinite(scores: readonly QuestionScore[]): void {
  for (const { group, question, alignment, distanceBase2 } of scores) {
    if (Number.isFinite(alignment) && Number.isFinite(distanceBase2)) continue;
    throw new PluralError(
      'NOT_FINITE',
      `the score of group "${group}" on question ${question} is not a number`,
    );
  }
}

/**
 * Scores over the groups of one split, from one score per (group, question).
 * Errors: NOT_FINITE; INTERNAL for an empty list.
 */
export function summarise(scores: readonly QuestionScore[]): Summary {
  invariant(scores.length > 0, 'a summary of no scores');
  checkFinite(scores);
  const groups = groupMeans(scores);
  const alignments = groups.map((group) => group.alignment);
  const variation = coefficientOfVariation(alignments);
  return {
    mean: meanOf(alignments),
    worst: Math.min(...alignments),
    meanOverQuestions: meanOf(scores.map((score) => score.alignment)),
    coefficientOfVariation: variation,
    fairnessIndex: 1 / (1 + variation ** 2),
    questionFairness: questionFairness(scores),
    meanDistanceBase2: meanOf(groups.map((group) => group.distanceBase2)),
  };
}
