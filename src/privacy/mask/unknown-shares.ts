import { unknownShares as unknownAmong } from '../secure-sum/unknown-shares.ts';
import { type Assumptions, findGraph, mostLeftOut } from './graph.ts';

/** How many shares of noise an observer does not know at the least: some survivors may be left out of a sparse graph's sum. */
export function unknownShares(leastGroups: number, mostGroups: number, assumed: Assumptions): number {
  const leftOut = (groups: number, honest: number) => {
    const plan = findGraph(groups, assumed);
    return plan === null ? null : mostLeftOut(groups, honest, plan);
  };
  return unknownAmong({ leastGroups, mostGroups, corruptShare: assumed.corruptShare, leftOut });
}
