import type { Aggregate } from '../../wire/stages.ts';
import { noiseRoom } from '../grid.ts';
import { weightRounding } from '../scalars.ts';
import { trusteesOf } from './committee.ts';
import type { SealSettings } from './settings.ts';

/**
 * Whether groups that do as they should can have sent what adds up to a sum. Each has a weight w from `leastWeight` to the grid's largest,
 * and each of its numbers is at most clipValue * w and less than one step more, by rounding; trustees have no weight. So no parameter of the next
 * model moves farther than the clip, but for rounding and noise. With noise, one number in 10^15 of such groups is farther off.
 */
export function isPossibleSum(
  { grid, noise, committee }: SealSettings,
  { groups, weightedSum, totalWeight }: Aggregate,
  leastWeight: number,
): boolean {
  const trustees = new Set(trusteesOf(committee));
  const weighing = groups.filter((group) => !trustees.has(group)).length;
  const rounding = weightRounding(grid, weighing);
  if (totalWeight < weighing * leastWeight - rounding) return false;
  if (totalWeight > weighing * grid.mostWeight + rounding) return false;
  // One step more than the rounding of as many numbers, for that of float64.
  const steps = weighing + 1 + noiseRoom(noise?.localSigma ?? 0, groups.length);
  const most = grid.clipValue * (totalWeight + rounding) + grid.step * steps;
  return weightedSum.every((value) => Math.abs(value) <= most);
}
