import { asStage } from '../core/brand.ts';
import type { Parts } from '../wire/parts.ts';
import type { Aggregate, Update } from '../wire/stages.ts';
import { withMappedSum } from './mapped-sum.ts';
import type { GroupPart, GroupSetup, Protection, RoundContext, SealedSums } from './protection.ts';

/** What of a round's context tells which part it sends. */
type Sent = Pick<RoundContext, 'round' | 'parameters'>;

/** The round as the protection sees it: a vector as long as the part. */
function shortened<Context extends Sent>(context: Context, parts: Parts): Context {
  return { ...context, parameters: parts.positionsOf(context.round).length };
}

function gathered(update: Update, parts: Parts): Update {
  return asStage({ ...update, delta: parts.gather(update.round, update.delta) });
}

function scattered(aggregate: Aggregate, parts: Parts): Aggregate {
  return asStage({ ...aggregate, weightedSum: parts.scatter(aggregate.round, aggregate.weightedSum) });
}

function joining(protection: Protection, parts: Parts, setup: GroupSetup): GroupPart {
  const part = protection.join({ ...setup, context: shortened(setup.context, parts) });
  return {
    answer: (step, update) => part.answer(step, update === null ? null : gathered(update, parts)),
  };
}

function sealing(sealedSums: SealedSums, parts: Parts): SealedSums {
  return {
    ...sealedSums,
    collect: (context) => sealedSums.collect(shortened(context, parts)),
    read: (sealed, context, readersKey) => {
      const { aggregate, ...about } = sealedSums.read(sealed, shortened(context, parts), readersKey);
      return { aggregate: aggregate === null ? null : scattered(aggregate, parts), ...about };
    },
  };
}

/**
 * A protection of whole updates, made of one whose `RunShape.parameters` is the longest part: each round protects and adds up one part, and its aggregate is zero elsewhere.
 * Groups give it whole updates, and its contexts have the length of the model.
 */
export function inParts(protection: Protection, parts: Parts): Protection {
  const { sealedSums } = protection;
  return {
    ...protection,
    join: (setup) => joining(protection, parts, setup),
    collect: (context) =>
      withMappedSum(protection.collect(shortened(context, parts)), (sum) => scattered(sum, parts)),
    sealedSums: sealedSums === null ? null : sealing(sealedSums, parts),
  };
}
