import { setImmediate } from 'node:timers/promises';
import { bytesOf } from '../core/bytes.ts';
import { sha256 } from '../core/digest.ts';
import type { Collection, SealedSums } from '../privacy/protection.ts';
import type { StrategyState } from '../strategy/strategy.ts';
import type { ModelRecord } from '../wire/model-record.ts';
import type { ScoreSums } from '../wire/stages.ts';
import { viewSubmission } from '../wire/submission.ts';
import type { Aggregator } from './aggregator.ts';
import { type CurrentRound, contextOf, type Kept, listedIn, lost, repliersOf } from './collections.ts';
import { unknownRun } from './locked-run.ts';
import { readBytes, readModel, recordOf } from './models.ts';
import type { OpenPlan, PlanCache } from './plan.ts';
import { WorkMemory } from './work-memory.ts';

/** A round that is to be folded, as the database has it. */
export interface DueRound extends CurrentRound {
  readonly strategyState: StrategyState;
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

/** What a fold came to, before it is published. */
export interface Folded {
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
export type FoldResult = Folded | { readonly lacks: string };

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

/** Adds up a round: the next model, or where the aggregator holds ciphertext the sum itself. */
export async function foldUpdates(
  aggregator: Aggregator,
  plans: PlanCache,
  due: DueRound,
): Promise<FoldResult> {
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
