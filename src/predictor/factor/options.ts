import { z } from 'zod';

/** Options of the item memory. Defaults were chosen on validation groups: experiments/predictors. */
export const factorOptions = z.strictObject({
  /** Length of a group's vector. */
  rank: z.int().min(1).max(16).default(4),
  /** Newton steps that fit a group's vector to its context, from zero. */
  newtonSteps: z.int().min(1).max(8).default(4),
  /** How many respondents an answered question counts as, against the prior of a group's vector, before training learns it. */
  evidence: z.number().positive().max(1e4).default(10),
  /** Deviation that the items' factors start with. */
  initialDeviation: z.number().positive().max(10).default(0.3),
  /**
   * Fewest groups with answers to a question that it is remembered for: with fewer, what is remembered would be theirs. Rows are averaged over those
   * groups. null: over all groups, and nothing is counted.
   */
  leastGroups: z.int().min(1).max(65_536).nullable().default(3),
});

export type FactorOptions = z.output<typeof factorOptions>;
