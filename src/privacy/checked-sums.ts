import { PluralError } from '../core/errors.ts';
import type { Aggregate } from '../wire/stages.ts';
import { withMappedSum } from './mapped-sum.ts';
import type { HonestUpdates, Protection, ReadSum, SealedSums } from './protection.ts';

type Check = (sum: Aggregate) => boolean;

/** Errors: ROUND_FAILED. */
function checkedSum(sum: Aggregate, isPossible: Check): Aggregate {
  if (isPossible(sum)) return sum;
  throw new PluralError(
    'ROUND_FAILED',
    `the sum of round ${sum.round} says what no groups can have sent: one of them sent an update of its own making`,
    { hint: 'Start the run again: it skips this round. Ask the groups what they run.' },
  );
}

function checkedRead(read: ReadSum, isPossible: Check): ReadSum {
  const { aggregate } = read;
  return aggregate === null || isPossible(aggregate) ? read : { ...read, aggregate: null, impossible: true };
}

function checking(sealedSums: SealedSums, isPossible: Check): SealedSums {
  return {
    ...sealedSums,
    read: (sealed, context, readersKey) =>
      checkedRead(sealedSums.read(sealed, context, readersKey), isPossible),
  };
}

/**
 * A protection whose sums are looked at before they make a model, by whoever opens them: what is hidden from everybody is only bounded by
 * the group that sends it, and so is what somebody adds who passes a sealed sum on.
 */
export function checkingSums(protection: Protection, honest: HonestUpdates): Protection {
  const { sealedSums } = protection;
  const isPossible = (sum: Aggregate) => protection.isPossible(sum, honest);
  if (sealedSums !== null) return { ...protection, sealedSums: checking(sealedSums, isPossible) };
  return {
    ...protection,
    collect: (context) => withMappedSum(protection.collect(context), (sum) => checkedSum(sum, isPossible)),
  };
}
