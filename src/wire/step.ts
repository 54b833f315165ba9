import { z } from 'zod';

/** One collection step of a round: whom the aggregator asks, and what for. */
export const collectionStepSchema = z.strictObject({
  name: z.string().min(1).max(64),
  /** All groups of the round, or only those that replied in the step before. */
  from: z.enum(['participants', 'survivors']),
});

export type CollectionStep = z.output<typeof collectionStepSchema>;

/** The steps of a protection that needs nothing but the updates. */
export const UPLOAD_ONLY: readonly CollectionStep[] = [{ name: 'upload', from: 'participants' }];
