import type { Survey } from '../../data/survey.ts';
import type { Predict } from '../prediction.ts';

/**
 * A way to predict without training, shown beside every trained predictor.
 *
 * `predict` uses the answers of the training groups other than the asked one, and of the asked group those on the
 * context questions only.
 */
export interface Baseline {
  /** `MethodRecord.id`. */
  readonly name: string;
  readonly label: string;
  /** What it must see to work, in words. */
  readonly sees: string;
  /** `excludedQuestions` (held out) are questions on which no training group's answer may be used. */
  create(survey: Survey, trainingGroups: readonly number[], excludedQuestions: readonly number[]): Predict;
}

/** Makes a baseline; add the result to the table in table.ts, which the conformance suite goes through. */
export function defineBaseline(baseline: Baseline): Baseline {
  return baseline;
}
