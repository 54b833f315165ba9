import { z } from 'zod';

/** What is taken for granted about the groups of a round, as shares of their number, in [0, 1). */
export interface Assumptions {
  /** Groups that tell the aggregator all they know. Rounded up to whole groups. */
  readonly corruptShare: number;
  /** Groups that are gone by chance when the sum is opened. Rounded down to whole groups. */
  readonly dropoutShare: number;
}

/** What callers assume unless they know better. */
export const ASSUMED: Assumptions = { corruptShare: 0.1, dropoutShare: 1 / 3 };

/** The same as options of a protection. */
export const assumptionOptions = {
  /** Share of the groups that may work together with the aggregator. Less is asked of others where it is small. */
  corruptShare: z.number().min(ASSUMED.corruptShare).max(0.3).default(ASSUMED.corruptShare),
  /** Share of the groups that may be lost in a round. */
  dropoutShare: z.number().min(0).max(ASSUMED.dropoutShare).default(ASSUMED.dropoutShare),
};
