import { z } from 'zod';
import { PluralError } from '../../core/errors.ts';
import { groupIdSchema } from '../../wire/run-definition.ts';
import type { RunShape } from '../protection.ts';
import { checkedSum, type SumSettings, sumOptions, sumSettings } from '../secure-sum/settings.ts';
import { unknownShares } from '../secure-sum/unknown-shares.ts';
import { ASSUMED, type CommitteeRule, planCommittee } from './committee.ts';
import { MOST_MEMBERS } from './messages.ts';
import { type CipherPlan, cipherPlan } from './plan.ts';

const assumptions = {
  /** Share of the groups that may work together with the aggregator; what a committee of some of them is sized for. */
  corruptShare: z.number().min(ASSUMED.corruptShare).max(0.3).default(ASSUMED.corruptShare),
  /** Share of the groups that may be lost in a round. */
  dropoutShare: z.number().min(0).max(ASSUMED.dropoutShare).default(ASSUMED.dropoutShare),
};

/** Members by name, and how many of them open a sum. */
const committeeSchema = z
  .strictObject({
    members: z.array(groupIdSchema).min(1).max(MOST_MEMBERS),
    threshold: z.int().min(2),
  })
  .refine(({ members }) => new Set(members).size === members.length, {
    path: ['members'],
    error: 'a member is named twice',
  })
  .refine(({ members, threshold }) => threshold <= members.length, {
    path: ['threshold'],
    error: 'threshold must not exceed the number of members',
  });

/** Options of protection `seal`. */
export const sealOptions = checkedSum(
  z.strictObject({
    ...sumOptions,
    ...assumptions,
    /** Groups that keep shares of the keys; null: all of up to 20 groups, or some that are drawn in each round. */
    committee: committeeSchema.nullable().default(null),
  }),
);
export type SealOptions = z.output<typeof sealOptions>;

/** Options of protection `seal-single`. */
export const sealSingleOptions = checkedSum(
  z.strictObject({
    ...sumOptions,
    ...assumptions,
    /** The group that keeps all keys. */
    keyHolder: groupIdSchema,
  }),
);
export type SealSingleOptions = z.output<typeof sealSingleOptions>;

/** The options with what follows from the run. */
export interface SealSettings extends SumSettings {
  readonly committee: CommitteeRule;
  readonly plan: CipherPlan;
}

function conflict(message: string, hint: string): PluralError {
  return new PluralError('CONFIG_CONFLICT', `protection: ${message}`, { hint });
}

function settingsWith(
  options: Omit<SealOptions, 'committee'>,
  shape: RunShape,
  committee: CommitteeRule,
): SealSettings {
  const { leastGroups, mostGroups, corruptShare } = options;
  // All survivors are in the sum or none: there is no graph that could be cut.
  const shares = () => unknownShares({ leastGroups, mostGroups, corruptShare, leftOut: () => 0 });
  const settings = sumSettings(options, shape, shares);
  const { ringBits } = settings.grid;
  const plan = cipherPlan({ ringBits, mostGroups });
  if (plan === null) {
    throw conflict(
      `a sum of ${ringBits} bits over ${mostGroups} groups leaves no room for noise in a ciphertext`,
      'Lower protection.bits or mostGroups.',
    );
  }
  return { ...settings, committee, plan };
}

/**
 * Errors: CONFIG_CONFLICT where noise is asked for that does not fit the run, the sum does not fit a ciphertext, or no committee of
 * so many groups withstands what is assumed.
 */
export function sealSettings(options: SealOptions, shape: RunShape): SealSettings {
  const { committee, mostGroups, corruptShare, dropoutShare } = options;
  if (committee !== null) return settingsWith(options, shape, { kind: 'named', ...committee });
  const assumed = { corruptShare, dropoutShare };
  if (planCommittee(mostGroups, assumed) === null) {
    throw conflict(
      `no committee for ${mostGroups} groups withstands what is assumed`,
      'Lower protection.mostGroups, corruptShare or dropoutShare, or name the members in protection.committee.',
    );
  }
  return settingsWith(options, shape, { kind: 'drawn', ...assumed });
}

/** The same with one group that keeps all keys. Errors: CONFIG_CONFLICT. */
export function sealSingleSettings(options: SealSingleOptions, shape: RunShape): SealSettings {
  const members = [options.keyHolder];
  return settingsWith(options, shape, { kind: 'named', members, threshold: 1 });
}
