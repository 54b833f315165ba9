import { quorumOf } from '../../wire/step.ts';
import { type Assumptions, findGraph, mostLeftOut } from './graph.ts';

/** Numbers of groups that are looked at one by one; beyond, one in so many, for the bound moves slowly. */
const ONE_BY_ONE = 256;
const STRIDE = 16;

/**
 * How many shares of noise an observer does not know at the least, over all numbers of groups that a round may have: of the fewest
 * survivors, without those who may work with the aggregator, those who may be left out of the sum, and the group that is to be hidden.
 */
export function unknownShares(leastGroups: number, mostGroups: number, assumed: Assumptions): number {
  let fewest = Number.POSITIVE_INFINITY;
  for (let groups = leastGroups; groups <= mostGroups; groups += groups < ONE_BY_ONE ? 1 : STRIDE) {
    const plan = findGraph(groups, assumed);
    if (plan === null) continue;
    const honest = Math.max(leastGroups, quorumOf(groups)) - Math.ceil(assumed.corruptShare * groups);
    fewest = Math.min(fewest, honest - mostLeftOut(groups, honest, plan) - 1);
  }
  return Math.max(0, fewest);
}
