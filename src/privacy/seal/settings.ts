import { z } from 'zod';
import { invariant } from '../../core/errors.ts';
import type { Holds } from '../../wire/holds.ts';
import { groupIdSchema } from '../../wire/run-definition.ts';
import type { RunShape } from '../protection.ts';
import { assumptionOptions } from '../secure-sum/assumptions.ts';
import { checkedSum, type SumSettings, sumOptions, sumSettings } from '../secure-sum/settings.ts';
import { unknownShares } from '../secure-sum/unknown-shares.ts';
import { type CommitteeRule, trusteesOf } from './committee.ts';
import { MOST_MEMBERS } from './messages.ts';
import { type CipherPlan, cipherPlan } from './plan.ts';

/** The aggregator keeps 56 kB for each pair of a group and a member, and shows a member all of them at once. */
export const MOST_GROUPS = 256;
/** Decoding is tested with words from 8 bits on. */
const bits = sumOptions.bits.unwrap().min(8).default(16);
const mostGroups = sumOptions.mostGroups.unwrap().max(MOST_GROUPS).default(128);

/** Members by name, and how many of them open a sum. */
const committeeSchema = z
  .strictObject({
    members: z.array(groupIdSchema).min(1).max(MOST_MEMBERS),
    threshold: z.int().min(2),
    /** Whether the members are no groups: they take part without answers, and send no updates of their own. */
    trustees: z.boolean().default(false),
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
    ...assumptionOptions,
    bits,
    mostGroups,
    /** Groups that keep shares of the keys; null: all of up to 50 groups, or some that are drawn in each round. */
    committee: committeeSchema.nullable().default(null),
  }),
);
export type SealOptions = z.output<typeof sealOptions>;

/** Options of protection `seal-single`. */
export const sealSingleOptions = checkedSum(
  z.strictObject({
    ...sumOptions,
    ...assumptionOptions,
    bits,
    mostGroups,
    /** The group that keeps all keys. */
    keyHolder: groupIdSchema,
  }),
);
export type SealSingleOptions = z.output<typeof sealSingleOptions>;

/** The options with what follows from the run. */
export interface SealSettings extends SumSettings {
  readonly committee: CommitteeRule;
  readonly plan: CipherPlan;
  /** Whether the aggregator opens the sums, or only those who have the readers' key. */
  readonly holds: Holds;
}

function settingsWith(
  options: Omit<SealOptions, 'committee'>,
  shape: RunShape,
  committee: CommitteeRule,
): SealSettings {
  const { leastGroups, mostGroups, corruptShare } = options;
  // All survivors are in the sum or none, as there is no graph that could be cut; but trustees add no noise.
  const leftOut = () => trusteesOf(committee).length;
  const shares = () => unknownShares({ leastGroups, mostGroups, corruptShare, leftOut });
  const settings = sumSettings(options, shape, shares);
  const { ringBits } = settings.grid;
  const plan = cipherPlan({ ringBits, mostGroups });
  invariant(plan !== null, 'a sum of words over so many groups fits a ciphertext');
  return { ...settings, committee, plan, holds: shape.holds ?? 'clear' };
}

/** Errors: CONFIG_CONFLICT where noise is asked for that does not fit the run. */
export function sealSettings(options: SealOptions, shape: RunShape): SealSettings {
  const { committee, corruptShare, dropoutShare } = options;
  if (committee !== null) return settingsWith(options, shape, { kind: 'named', ...committee });
  return settingsWith(options, shape, { kind: 'drawn', corruptShare, dropoutShare });
}

/** The same with one group that keeps all keys. Errors: CONFIG_CONFLICT. */
export function sealSingleSettings(options: SealSingleOptions, shape: RunShape): SealSettings {
  const members = [options.keyHolder];
  return settingsWith(options, shape, { kind: 'named', members, threshold: 1, trustees: false });
}
