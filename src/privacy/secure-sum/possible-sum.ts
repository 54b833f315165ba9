import { type CountedRows, forRow } from '../../wire/counted-rows.ts';
import type { Aggregate } from '../../wire/stages.ts';
import { type Grid, noiseRoom } from '../grid.ts';
import type { HonestUpdates } from '../protection.ts';
import { weightRounding } from '../scalars.ts';
import type { SumSettings } from './settings.ts';

/**
 * Whether no row is farther out than its count. A group of weight w that touched the row counts as w * clipValue there, which is also the farthest that
 * each of its numbers can be; others send 0 in both. Rounding takes a count down and a number up by less than a step together, of each group
 * that touched the row: at most `weighing`, and at most as many as the count has room for, each with `leastWeight` rounded down to steps.
 */
function rowsFitCounts(
  weightedSum: Float64Array,
  counted: CountedRows,
  { clipValue, step }: Grid,
  { weighing, leastWeight }: { readonly weighing: number; readonly leastWeight: number },
): boolean {
  const leastSteps = Math.floor((leastWeight * clipValue) / step);
  let fit = true;
  for (let row = 0; row < counted.rows; row++) {
    const count = Math.max(0, weightedSum[counted.offset + row]!);
    const touching = leastSteps < 1 ? weighing : Math.min(weighing, count / step / leastSteps);
    // One step more for the rounding of float64.
    const most = count + (touching + 1) * step;
    forRow(counted, row, (position) => {
      if (!(Math.abs(weightedSum[position]!) <= most)) fit = false;
    });
  }
  return fit;
}

/**
 * Whether groups that do as they should can have sent what adds up to a sum. Each has a weight w from `leastWeight` to the grid's largest,
 * and each of its numbers is at most clipValue * w and less than one step more, by rounding; `trustees` have no weight. So no parameter of the next
 * model moves farther than the clip, but for rounding and noise, and no counted row farther either. With noise, one number in 10^15 of such groups is
 * farther off; it goes with no counts.
 */
export function isPossibleSum(
  { grid, noise }: Pick<SumSettings, 'grid' | 'noise'>,
  { groups, weightedSum, totalWeight }: Aggregate,
  { leastWeight, counted }: HonestUpdates,
  trustees: readonly string[] = [],
): boolean {
  const weighing = groups.filter((group) => !trustees.includes(group)).length;
  const rounding = weightRounding(grid, weighing);
  if (totalWeight < weighing * leastWeight - rounding) return false;
  if (totalWeight > weighing * grid.mostWeight + rounding) return false;
  // One step more than the rounding of as many numbers, for that of float64.
  const steps = weighing + 1 + noiseRoom(noise?.localSigma ?? 0, groups.length);
  const most = grid.clipValue * (totalWeight + rounding) + grid.step * steps;
  if (!weightedSum.every((value) => Math.abs(value) <= most)) return false;
  return counted === null || rowsFitCounts(weightedSum, counted, grid, { weighing, leastWeight });
}
