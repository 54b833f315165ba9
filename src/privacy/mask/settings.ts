import { z } from 'zod';
import type { RunShape } from '../protection.ts';
import { assumptionOptions } from '../secure-sum/assumptions.ts';
import { checkedSum, type SumSettings, sumOptions, sumSettings } from '../secure-sum/settings.ts';
import { type Assumptions, findGraph } from './graph.ts';
import { unknownShares } from './unknown-shares.ts';

/** Options of protection `mask`. */
export const maskOptions = checkedSum(
  z.strictObject({
    ...sumOptions,
    ...assumptionOptions,
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
