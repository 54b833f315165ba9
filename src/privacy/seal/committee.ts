import type { Assumptions } from '../secure-sum/assumptions.ts';
import { permutationOf } from '../secure-sum/beacon.ts';
import { hypergeometric, lowerQuantile, upperQuantile } from '../secure-sum/hypergeometric.ts';
import { MOST_MEMBERS } from './messages.ts';

/** How many groups keep shares of every key, and how many of them open a sum. */
export interface CommitteePlan {
  readonly members: number;
  readonly threshold: number;
}

/** So few are all members: a majority of everybody withstands more corrupt groups than were assumed. */
const ALL_UP_TO = 50;
/** 2^-40 is left to a server that tries 2^40 lists of participants for a weak committee. */
const MOST_EXPOSED = 2 ** -80;
/** A round lost in so many, if the assumed number of groups drops out. */
const MOST_UNDELIVERED = 2 ** -30;
/** So that 0.07 * 100 is 7. */
const ROUNDING = 1e-9;

/**
 * The committee for a round of `groups`: all of up to 50 groups, with a majority. Of more, the fewest such that a committee drawn
 * from all has as many corrupt members as the threshold with a chance of at most 2^-80, and too few who are there with one of
 * at most 2^-30; with a threshold of a third of its members at least, for assumptions can be wrong. Null where there would be
 * more than 255.
 */
export function planCommittee(groups: number, assumed: Assumptions): CommitteePlan | null {
  const corrupt = Math.min(groups, Math.ceil(assumed.corruptShare * groups - ROUNDING));
  const there = groups - Math.floor(assumed.dropoutShare * groups + ROUNDING);
  for (let members = ALL_UP_TO + 1; members < groups && members <= MOST_MEMBERS; members++) {
    const mostCorrupt = upperQuantile(hypergeometric(groups, corrupt, members), MOST_EXPOSED);
    const threshold = lowerQuantile(hypergeometric(groups, there, members), MOST_UNDELIVERED);
    if (threshold > mostCorrupt && 3 * threshold >= members) return { members, threshold };
  }
  return groups <= MOST_MEMBERS ? { members: groups, threshold: Math.floor(groups / 2) + 1 } : null;
}

/** Who keeps shares of every group's key in an attempt of a round. */
export interface Committee {
  /** In code-unit order; a member's place, from 1 on, is the number of its shares. */
  readonly members: readonly string[];
  readonly threshold: number;
}

/** How the committee of a round is found: all groups or some that are drawn, or those that the configuration names. */
export type CommitteeRule =
  | ({ readonly kind: 'drawn' } & Assumptions)
  | {
      readonly kind: 'named';
      readonly members: readonly string[];
      readonly threshold: number;
      /** Whether the members are no groups: they send no updates of their own. */
      readonly trustees: boolean;
    };

/** The members that send no updates of their own. */
export function trusteesOf(rule: CommitteeRule): readonly string[] {
  return rule.kind === 'named' && rule.trustees ? rule.members : [];
}

/**
 * The committee of a round of these groups, in code-unit order. `beacon`: 64 hex digits that nobody could choose. Null where there
 * is none: too many groups, or a named member is not among them and too few others are.
 */
export function committeeOf(
  groups: readonly string[],
  beacon: string,
  rule: CommitteeRule,
): Committee | null {
  if (rule.kind === 'named') {
    const { threshold } = rule;
    const members = groups.filter((group) => rule.members.includes(group));
    return members.length < threshold ? null : { members, threshold };
  }
  const plan = planCommittee(groups.length, rule);
  if (plan === null) return null;
  const drawn = [...permutationOf(groups.length, 'committee', beacon)].slice(0, plan.members);
  const members = drawn.sort((a, b) => a - b).map((place) => groups[place]!);
  return { members, threshold: plan.threshold };
}
