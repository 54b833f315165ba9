import { z } from 'zod';
import { PluralError } from '../../core/errors.ts';
import type { RunShape } from '../protection.ts';
import { checkedSum, type SumSettings, sumOptions, sumSettings } from '../secure-sum/settings.ts';
import { unknownShares } from '../secure-sum/unknown-shares.ts';
import { ASSUMED, type Assumptions, planCommittee } from './committee.ts';
import { type CipherPlan, cipherPlan } from './plan.ts';

/** Options of protection `seal`. */
export const sealOptions = checkedSum(
  z.strictObject({
    ...sumOptions,
    /** Share of the groups that may work together with the aggregator; what a committee of some of them is sized for. */
    corruptShare: z.number().min(ASSUMED.corruptShare).max(0.3).default(ASSUMED.corruptShare),
    /** Share of the groups that may be lost in a round. */
    dropoutShare: z.number().min(0).max(ASSUMED.dropoutShare).default(ASSUMED.dropoutShare),
  }),
);
export type SealOptions = z.output<typeof sealOptions>;

/** The options with what follows from the run. */
export interface SealSettings extends SumSettings {
  readonly assumed: Assumptions;
  readonly plan: CipherPlan;
}

/** Errors: CONFIG_CONFLICT where noise is asked for that does not fit the run, or the sum does not fit a ciphertext. */
export function sealSettings(options: SealOptions, shape: RunShape): SealSettings {
  const { leastGroups, mostGroups, corruptShare, dropoutShare } = options;
  const assumed = { corruptShare, dropoutShare };
  // All survivors are in the sum or none: there is no graph that could be cut.
  const shares = () => unknownShares({ leastGroups, mostGroups, corruptShare, leftOut: () => 0 });
  const settings = sumSettings(options, shape, shares);
  const { ringBits } = settings.grid;
  const plan = cipherPlan({ ringBits, mostGroups });
  if (plan === null) {
    throw new PluralError(
      'CONFIG_CONFLICT',
      `protection "seal": a sum of ${ringBits} bits over ${mostGroups} groups leaves no room for noise`,
      { hint: 'Lower protection.bits or mostGroups.' },
    );
  }
  return { ...settings, assumed, plan };
}

/** Errors: CONFIG_CONFLICT where no committee of so many groups withstands what is assumed. */
export function checkCommittee({ mostGroups, ...assumed }: SealOptions): void {
  if (planCommittee(mostGroups, assumed) !== null) return;
  throw new PluralError('CONFIG_CONFLICT', `protection "seal": no committee for ${mostGroups} groups`, {
    hint: 'Lower protection.mostGroups.',
  });
}
