import type { Strategy } from './strategy.ts';

/** What the weights of a run's groups lie between, and whether they are all the same. */
export interface WeightBounds {
  readonly least: number;
  readonly most: number;
  readonly equal: boolean;
}

/** `questions`: how many questions a group may train on, at most. Scores are from 0 to 1, and the worst weighs most. */
export function weightBounds({ scores, weightOf }: Strategy, questions: number): WeightBounds {
  const best = scores ? 1 : null;
  const worst = scores ? 0 : null;
  return {
    least: weightOf({ questions: 1, score: best }),
    most: weightOf({ questions, score: worst }),
    equal: !scores && weightOf({ questions: 1, score: null }) === weightOf({ questions: 2, score: null }),
  };
}
