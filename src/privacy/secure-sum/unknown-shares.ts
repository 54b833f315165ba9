import { quorumOf } from '../../wire/step.ts';

/** Numbers of groups that are looked at one by one; beyond, one in so many, for the bound moves slowly. */
const ONE_BY_ONE = 256;
const STRIDE = 16;

/**
 * How many shares of noise an observer does not know at the least, over all numbers of groups that a round may have: of the fewest
 * survivors, without those who may work with the aggregator, those who may be left out of the sum, and the group that is to be hidden.
 * `leftOut`: how many of so many honest survivors may be; null where there is no round of so many groups.
 */
export function unknownShares(options: {
  readonly leastGroups: number;
  readonly mostGroups: number;
  readonly corruptShare: number;
  readonly leftOut: (groups: number, honest: number) => number | null;
}): number {
  const { leastGroups, mostGroups, corruptShare, leftOut } = options;
  let fewest = Number.POSITIVE_INFINITY;
  for (let groups = leastGroups; groups <= mostGroups; groups += groups < ONE_BY_ONE ? 1 : STRIDE) {
    const honest = Math.max(leastGroups, quorumOf(groups)) - Math.ceil(corruptShare * groups);
    const out = leftOut(groups, honest);
    if (out !== null) fewest = Math.min(fewest, honest - out - 1);
  }
  return Math.max(0, fewest);
}
