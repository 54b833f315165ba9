import type { Summary } from '../../evaluate/evaluation.ts';

/** One value for each figure of a split, in the order of `summary.json`. A figure that is not listed does not compile. */
export function eachFigure<Value>(of: (figure: keyof Summary) => Value): Record<keyof Summary, Value> {
  return {
    mean: of('mean'),
    worst: of('worst'),
    meanOverQuestions: of('meanOverQuestions'),
    coefficientOfVariation: of('coefficientOfVariation'),
    fairnessIndex: of('fairnessIndex'),
    questionFairness: of('questionFairness'),
    meanDistanceBase2: of('meanDistanceBase2'),
    calibrationError: of('calibrationError'),
  };
}
