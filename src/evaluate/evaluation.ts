import type { Stage } from '../core/brand.ts';

/**
 * What was predicted: groups that trained, groups never seen, or groups never seen on questions that no
 * training group answered in training either.
 */
export const SPLITS = ['training', 'unseen', 'unseen-questions'] as const;
export type SplitName = (typeof SPLITS)[number];

/** Scores of one group in one split: means over its target questions and context draws. */
export interface GroupScore {
  readonly group: string;
  readonly split: SplitName;
  /** 1 - Jensen-Shannon distance, natural logarithm, in [0.167, 1] (PluralLLM's alignment score). */
  readonly alignment: number;
  /** Jensen-Shannon distance with base-2 logarithm, in [0, 1]; lower is better. */
  readonly distanceBase2: number;
  /** Number of distinct target questions behind the means. */
  readonly questions: number;
}

/** Scores over the groups of one split. */
export interface Summary {
  /** Mean of the groups' alignment scores. */
  readonly mean: number;
  /** Lowest alignment score of a group. */
  readonly worst: number;
  /** Mean over all (group, question) pairs: groups with more questions count for more. */
  readonly meanOverQuestions: number;
  /** Population standard deviation of the groups' scores over their mean. */
  readonly coefficientOfVariation: number;
  /** 1 / (1 + CoV^2) of the groups' means. */
  readonly fairnessIndex: number;
  /** Mean over questions of 1 / (1 + CoV of the groups' scores on that question) (arXiv 2604.04261). */
  readonly questionFairness: number;
  /** Mean of the groups' base-2 distances. */
  readonly meanDistanceBase2: number;
  /** Expected calibration error of the predicted shares, over all targets and draws; left out where it was not measured. */
  readonly calibrationError?: number;
}

interface EvaluationFields {
  readonly scores: readonly GroupScore[];
  readonly summaries: Readonly<Partial<Record<SplitName, Summary>>>;
}

/** The scores of one model or baseline. */
export type Evaluation = Stage<'Evaluation', EvaluationFields>;
