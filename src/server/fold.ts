import { setImmediate } from 'node:timers/promises';
import { bytesOf } from '../core/bytes.ts';
import { sha256 } from '../core/digest.ts';
import type { Collection, SealedSums } from '../privacy/protection.ts';
import type { StrategyState } from '../strategy/strategy.ts';
import type { ModelRecord } from '../wire/model-record.ts';
import type { ScoreSums } from '../wire/stages.ts';
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
import { keepBytes, newestRecord, publishModel, readBytes, readModel, recordOf } from './models.ts';
import type { OpenPlan, PlanCache } from './plan.ts';
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
  /** What the record names: the model, or the sealed sum that it follows from. */
  readonly published: { readonly round: number; readonly digest: string; readonly bytes: Uint8Array };
  readonly strategyState: StrategyState;
  readonly updates: number;
  readonly uploadedBytes: number;
  readonly scores: ScoreSums | null;
  /** Groups whose replies cannot be right. */
  readonly accused: readonly string[];
}

/** What came of a fold: what is published, or why the sum cannot be opened yet. */
type FoldResult = Folded | { readonly lacks: string };

/** Adds all replies of a round to a collection; their bytes. */
async function addRound(aggregator: Aggregator, due: DueRound, collection: Collection): Promise<number> {
  const { round, step: last } = due.state;
  let uploadedBytes = 0;
  for (let step = 0; step <= last; step++) {
    const kept = await listedIn(aggregator, due, step);
    await addAll(aggregator, kept, { round, step }, collection);
    collection.close(step, repliersOf(due.state, step));
    uploadedBytes += kept.reduce((sum, { size }) => sum + size, 0);
  }
  return uploadedBytes;
}

/** A round, with the plan of its run. */
interface PlannedRound extends DueRound {
  readonly plan: OpenPlan;
  readonly parameters: number;
  readonly updates: number;
}

/** The next model, from the one before it and the sum of the updates. */
async function foldModel(
  aggregator: Aggregator,
  due: PlannedRound,
  before: ModelRecord,
): Promise<FoldResult> {
  const { plan, parameters, updates, state, strategyState } = due;
  const { protection, strategy } = plan;
  const model = await readModel(aggregator, before);
  const collection = protection.collect(contextOf(due, parameters));
  const uploadedBytes = await addRound(aggregator, due, collection);
  const lacks = collection.lacks();
  if (lacks !== null) return { lacks };
  const aggregate = collection.finish();
  const next = strategy.next(model, aggregate, strategyState);
  const { digest } = next.model;
  return {
    published: { round: state.round, digest, bytes: bytesOf(next.model.parameters) },
    strategyState: next.state,
    updates,
    uploadedBytes,
    scores: aggregate.scores,
    accused: collection.accused(),
  };
}

/** The sum itself, for those who have the readers' key: model, strategy and scores are theirs. */
async function foldSealed(
  aggregator: Aggregator,
  due: PlannedRound,
  sealedSums: SealedSums,
): Promise<FoldResult> {
  const { parameters, updates, state, strategyState } = due;
  const collection = sealedSums.collect(contextOf(due, parameters));
  const uploadedBytes = await addRound(aggregator, due, collection);
  const lacks = collection.lacks();
  if (lacks !== null) return { lacks };
  const bytes = collection.publish();
  const published = { round: state.round, digest: sha256(bytes), bytes };
  return { published, strategyState, updates, uploadedBytes, scores: null, accused: [] };
}

/** A round that was given up for good: its record names what the one before it names, and no updates. */
async function skippedRound(
  aggregator: Aggregator,
  { state, strategyState }: DueRound,
  before: ModelRecord,
): Promise<Folded> {
  const bytes = await readBytes(aggregator, before);
  const published = { round: state.round, digest: before.model, bytes };
  return { published, strategyState, updates: 0, uploadedBytes: 0, scores: null, accused: [] };
}

async function foldUpdates(aggregator: Aggregator, plans: PlanCache, due: DueRound): Promise<FoldResult> {
  const { run, state } = due;
  const { round } = state;
  const { definition } = await aggregator.db
    .selectFrom('runs')
    .select('definition')
    .where('id', '=', run)
    .executeTakeFirstOrThrow();
  const plan = plans.get(due.digest, definition.plan);
  const before = await recordOf(aggregator, run, round - 1);
  if (before === null) throw unknownRun(run);
  if (state.skipped) return skippedRound(aggregator, due, before);
  const { updateStep, trustees, sealedSums } = plan.protection;
  const updates = repliersOf(state, updateStep).filter((group) => !trustees.includes(group)).length;
  aggregator.observe({ type: 'folding', run, round, updates });
  await plan.protection.prepare();
  const planned = { ...due, plan, updates, parameters: definition.plan.parameters };
  return sealedSums === null
    ? foldModel(aggregator, planned, before)
    : foldSealed(aggregator, planned, sealedSums);
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
