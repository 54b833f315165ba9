import { setImmediate } from 'node:timers/promises';
import { sha256 } from '../core/digest.ts';
import type { Collection } from '../privacy/protection.ts';
import type { StrategyState } from '../strategy/strategy.ts';
import { makeModel } from '../wire/model.ts';
import type { Model, ScoreSums } from '../wire/stages.ts';
import { viewSubmission } from '../wire/submission.ts';
import type { Aggregator } from './aggregator.ts';
import {
  type CurrentRound,
  contextOf,
  currentRound,
  type Kept,
  listedIn,
  lost,
  repliersOf,
} from './collections.ts';
import { changeRun, readStrategyState, storedStrategyState, unknownRun } from './locked-run.ts';
import { keepModel, newestRecord, publishModel, readModel, recordOf } from './models.ts';
import type { PlanCache } from './plan.ts';
import { keepScoreSums } from './scores.ts';
import { asStoreError } from './store/trouble.ts';
import { WorkMemory } from './work-memory.ts';

/** A round that is to be folded, as the database has it. */
interface DueRound extends CurrentRound {
  readonly strategyState: StrategyState;
}

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

/** Adds all replies to a step, one in memory at a time and the next on its way, and lets other work in between. */
async function addAll(
  { blobs }: Aggregator,
  kept: readonly Kept[],
  { round, step }: { readonly round: number; readonly step: number },
  collection: Collection,
): Promise<void> {
  const memories = [new WorkMemory(), new WorkMemory()];
  const reading = (index: number) => {
    const due = kept[index];
    if (due === undefined) return null;
    const read = blobs.read(due.blob, memories[index % 2]!.take(due.size));
    // A read that fails while the one before it is added is thrown when its turn comes.
    read.catch(() => undefined);
    return read;
  };
  let next = reading(0);
  for (const [index, { group, digest }] of kept.entries()) {
    const bytes = await next;
    next = reading(index + 1);
    if (bytes === null || sha256(bytes) !== digest) throw lost(group, round);
    collection.add(step, viewSubmission(bytes).update);
    await setImmediate();
  }
}

interface Folded {
  readonly model: Model;
  readonly strategyState: StrategyState;
  readonly updates: number;
  readonly uploadedBytes: number;
  readonly scores: ScoreSums | null;
  /** Groups whose replies cannot be right. */
  readonly accused: readonly string[];
}

/** A round without updates: the model stays. */
function skippedRound(model: Model, strategyState: StrategyState): Folded {
  return { model, strategyState, updates: 0, uploadedBytes: 0, scores: null, accused: [] };
}

/** What came of a fold: the next model, or why the sum cannot be opened yet. */
type FoldResult = Folded | { readonly lacks: string };

async function foldUpdates(aggregator: Aggregator, plans: PlanCache, due: DueRound): Promise<FoldResult> {
  const { run, state, strategyState } = due;
  const { definition } = await aggregator.db
    .selectFrom('runs')
    .select('definition')
    .where('id', '=', run)
    .executeTakeFirstOrThrow();
  const { protection, strategy } = plans.get(due.digest, definition.plan);
  const { round, step: last } = state;
  const record = await recordOf(aggregator, run, state.round - 1);
  if (record === null) throw unknownRun(run);
  const model = await readModel(aggregator, record);
  if (state.skipped) return skippedRound(makeModel(round, model.parameters), strategyState);
  const { updateStep, trustees } = protection;
  const updates = repliersOf(state, updateStep).filter((group) => !trustees.includes(group)).length;
  aggregator.observe({ type: 'folding', run, round, updates });
  await protection.prepare();
  const collection = protection.collect(contextOf(due, model.parameters.length));
  let uploadedBytes = 0;
  for (let step = 0; step <= last; step++) {
    const kept = await listedIn(aggregator, due, step);
    await addAll(aggregator, kept, { round, step }, collection);
    collection.close(step, repliersOf(state, step));
    uploadedBytes += kept.reduce((sum, { size }) => sum + size, 0);
  }
  const lacks = collection.lacks();
  if (lacks !== null) return { lacks };
  const aggregate = collection.finish();
  const next = strategy.next(model, aggregate, strategyState);
  const { scores } = aggregate;
  const accused = collection.accused();
  return { model: next.model, strategyState: next.state, updates, uploadedBytes, scores, accused };
}

/** Moves the run on to the next round, unless another replica did. */
async function publish(aggregator: Aggregator, run: string, folded: Folded): Promise<boolean> {
  const { model, strategyState, updates, uploadedBytes, scores, accused } = folded;
  const { round } = model;
  await keepModel(aggregator, model);
  aggregator.observe({ type: 'publishing', run, round });
  return changeRun(aggregator, run, async (locked) => {
    if (locked.state.phase !== 'folding' || locked.state.round !== round) return false;
    const previous = await newestRecord(locked);
    await publishModel(aggregator, locked, { model, previous, updates, uploadedBytes });
    await locked.tx
      .updateTable('runs')
      .set({ strategy_state: storedStrategyState(strategyState) })
      .where('id', '=', run)
      .execute();
    if (scores !== null) await keepScoreSums(locked, round - 1, scores);
    if (accused.length > 0) await locked.event('accused', { round, groups: accused });
    await locked.event('published', { round, model: model.digest, updates });
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
