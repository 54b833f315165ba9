import type { Aggregator } from './aggregator.ts';
import { currentRound } from './collections.ts';
import { type DueRound, type Folded, foldUpdates } from './fold-updates.ts';
import { changeRun, readStrategyState, storedStrategyState } from './locked-run.ts';
import { keepBytes, newestRecord, publishModel } from './models.ts';
import type { PlanCache } from './plan.ts';
import { keepScoreSums } from './scores.ts';
import { asStoreError } from './store/trouble.ts';

/** Null where the round is folded already, or not complete yet. */
async function dueRound(aggregator: Aggregator, run: string, round: number): Promise<DueRound | null> {
  const current = await currentRound(aggregator, run);
  if (current.state.phase !== 'folding' || current.state.round !== round) return null;
  const row = await aggregator.db
    .selectFrom('runs')
    .select('strategy_state')
    .where('id', '=', run)
    .executeTakeFirstOrThrow();
  return { ...current, strategyState: readStrategyState(row.strategy_state) };
}

/** Moves the run on to the next round, unless another replica did. */
async function publish(aggregator: Aggregator, run: string, folded: Folded): Promise<boolean> {
  const { published, strategyState, updates, uploadedBytes, scores, accused } = folded;
  const { round, digest, bytes } = published;
  await keepBytes(aggregator, digest, bytes);
  aggregator.observe({ type: 'publishing', run, round });
  return changeRun(aggregator, run, async (locked) => {
    if (locked.state.phase !== 'folding' || locked.state.round !== round) return false;
    const previous = await newestRecord(locked);
    await publishModel(aggregator, locked, { model: published, previous, updates, uploadedBytes });
    await locked.tx
      .updateTable('runs')
      .set({ strategy_state: storedStrategyState(strategyState) })
      .where('id', '=', run)
      .execute();
    if (scores !== null) await keepScoreSums(locked, round - 1, scores);
    if (accused.length > 0) await locked.event('accused', { round, groups: accused });
    await locked.event('published', { round, model: digest, updates });
    await locked.deliver({ type: 'folded', round });
    return true;
  });
}

/** Goes back to the last step, where there is still somebody to wait for. */
async function waitOn(aggregator: Aggregator, run: string, round: number, reason: string): Promise<void> {
  await changeRun(aggregator, run, (locked) => locked.deliver({ type: 'incomplete', round, reason }));
}

/** Trouble that trying again does not end: the updates themselves make no model. */
const HOPELESS: ReadonlySet<string> = new Set([
  'NOT_FINITE',
  'ROUND_FAILED',
  'UPDATE_OUT_OF_RANGE',
  'UPDATE_MALFORMED',
  'UPDATE_LENGTH',
  'UPDATE_NOT_FINITE',
]);

/**
 * Adds up a round and publishes the next model. Done twice, at once or one after the other, it gives the same bytes and
 * is published once. What cannot be mended by trying again ends the round as failed; any other error is thrown.
 */
export async function foldRound(
  aggregator: Aggregator,
  plans: PlanCache,
  run: string,
  round: number,
): Promise<void> {
  const due = await dueRound(aggregator, run, round);
  if (due === null) return;
  const started = performance.now();
  try {
    const folded = await foldUpdates(aggregator, plans, due);
    if ('lacks' in folded) return await waitOn(aggregator, run, round, folded.lacks);
    const published = await publish(aggregator, run, folded);
    const seconds = (performance.now() - started) / 1000;
    const { updates } = folded;
    if (published) aggregator.observe({ type: 'published', run, round, updates, seconds });
  } catch (thrown) {
    const error = asStoreError(thrown);
    if (!HOPELESS.has(error.code)) throw error;
    await changeRun(aggregator, run, (locked) =>
      locked.deliver({
        type: 'unfoldable',
        round,
        reason: `round ${round} makes no model: ${error.message}`,
      }),
    );
  }
}
