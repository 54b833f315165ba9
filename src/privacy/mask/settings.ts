import { z } from 'zod';
import type { RunShape } from '../protection.ts';
import { checkedSum, type SumSettings, sumOptions, sumSettings } from '../secure-sum/settings.ts';
import { ASSUMED, type Assumptions, findGraph } from './graph.ts';
import { unknownShares } from './unknown-shares.ts';

/** Options of protection `mask`. */
export const maskOptions = checkedSum(
  z.strictObject({
    ...sumOptions,
    /** Share of the groups that may work together with the aggregator. Fewer neighbours are needed where it is small. */
    corruptShare: z.number().min(ASSUMED.corruptShare).max(0.3).default(ASSUMED.corruptShare),
    /** Share of the groups that may be lost in a round. */
    dropoutShare: z.number().min(0).max(ASSUMED.dropoutShare).default(ASSUMED.dropoutShare),
  }),
).refine((options) => findGraph(options.mostGroups, options) !== null, {
  path: ['mostGroups'],
  error:
    'no neighbour graph of so many groups withstands so many who are corrupt or lost: lower mostGroups, dropoutShare or corruptShare',
});
export type MaskOptions = z.output<typeof maskOptions>;

/** The options with what follows from the run. */
export interface MaskSettings extends SumSettings {
  readonly assumed: Assumptions;
}

/** Errors: CONFIG_CONFLICT where noise is asked for that does not fit the run. */
export function maskSettings(options: MaskOptions, shape: RunShape): MaskSettings {
  const { leastGroups, mostGroups, corruptShare, dropoutShare } = options;
  const assumed = { corruptShare, dropoutShare };
  const shares = () => unknownShares(leastGroups, mostGroups, assumed);
  return { ...sumSettings(options, shape, shares), assumed };
}
