import { z } from 'zod';

/** How groups count before anything else is known of them: by the questions that they may train on (McMahan et al.), or once each. */
export const weightingOption = z.enum(['questions', 'equal']).default('questions');
export type Weighting = z.output<typeof weightingOption>;

/** What a strategy may weigh a group by. */
export interface WeighedGroup {
  /** How many questions the group may train on. */
  readonly questions: number;
  /**
   * Alignment score of the model that the group trains from on its own answers, 0 to 1; null where the strategy does not ask for it. It is
   * not what the group tells: it stays with the group.
   */
  readonly score: number | null;
}

/** The weight of a group by what does not change over a run. */
export function baseWeight(weighting: Weighting, { questions }: Pick<WeighedGroup, 'questions'>): number {
  return weighting === 'questions' ? questions : 1;
}
