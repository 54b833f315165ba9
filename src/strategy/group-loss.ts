import { invariant } from '../core/errors.ts';
import type { WeighedGroup } from './weighting.ts';

/** Smallest loss that a group is weighed by: one that is predicted perfectly still counts. */
const LEAST_LOSS = 0.05;

/** A group's loss of the received model, 1 - its alignment score, from LEAST_LOSS to 1; 1 where no score is known. */
export function lossOf({ score }: WeighedGroup): number {
  if (score === null) return 1;
  invariant(score >= 0 && score <= 1, 'a score from 0 to 1');
  return Math.max(LEAST_LOSS, 1 - score);
}
