import { z } from 'zod';

/** One collection step of a round: whom the aggregator asks, and what for. */
export const collectionStepSchema = z.strictObject({
  name: z.string().min(1).max(64),
  /** All groups of the round, or only those that replied in the step before. */
  from: z.enum(['participants', 'survivors']),
  /**
   * Fewest that make the step: the quorum of the run; or more than two thirds of those who replied in the first step; or both;
   * or more than half of them; or anybody.
   */
  least: z.enum(['quorum', 'two-thirds', 'both', 'majority', 'any']),
  /** Whether a group replies to it once in a round, whatever the attempt: a round that fails from here on is skipped. */
  once: z.boolean().optional(),
  /** Whether the step waits beyond its deadline for as many: late replies do no harm, and it cannot be done over. */
  patient: z.boolean().optional(),
});

export type CollectionStep = z.output<typeof collectionStepSchema>;

/** More than two thirds: two such sets have more than a third of all in common, so an honest group. */
export function quorumOf(groups: number): number {
  return Math.floor((2 * groups) / 3) + 1;
}

/** The steps of a protection that needs nothing but the updates. */
export const UPLOAD_ONLY: readonly CollectionStep[] = [
  { name: 'upload', from: 'participants', least: 'quorum' },
];
