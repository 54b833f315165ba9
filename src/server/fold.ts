import { setImmediate } from 'node:timers/promises';
import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import type { Fold } from '../privacy/protection.ts';
import { type AggregatorState, aggregatorStateSchema } from '../round/aggregator-state.ts';
import type { StrategyState } from '../strategy/strategy.ts';
import type { Model } from '../wire/stages.ts';
import { viewSubmission } from '../wire/submission.ts';
import type { Aggregator } from './aggregator.ts';
import { changeRun, readStrategyState, storedStrategyState, unknownRun } from './locked-run.ts';
import { keepModel, newestRecord, publishModel, readModel, recordOf } from './models.ts';
import type { PlanCache } from './plan.ts';
import { asStoreError } from './store/trouble.ts';
import { WorkMemory } from './work-memory.ts';

/** A round that is to be folded, as the database has it. */
interface DueRound {
  readonly run: string;
  readonly state: AggregatorState;
  readonly strategyState: StrategyState;
  readonly digest: string;
}

/** Null where the round is folded already, or not complete yet. */
async function dueRound({ db }: Aggregator, run: string, round: number): Promise<DueRound | null> {
  const row = await db
    .selectFrom('runs')
    .select(['state', 'strategy_state', 'digest'])
    .where('id', '=', run)
    .executeTakeFirst();
  if (row === undefined) throw unknownRun(run);
  const state = aggregatorStateSchema.parse(row.state);
  if (state.phase !== 'folding' || state.round !== round) return null;
  return { run, state, strategyState: readStrategyState(row.strategy_state), digest: row.digest };
}

interface Kept {
  readonly group: string;
  readonly digest: string;
  readonly blob: string;
  readonly size: number;
}

/** The submissions that the round lists, in its order. */
async function listed({ db }: Aggregator, { run, state }: DueRound): Promise<Kept[]> {
  const rows = await db
    .selectFrom('submissions')
    .select(['group_id', 'digest', 'blob', 'size'])
    .where('run', '=', run)
    .where('round', '=', state.round)
    .where('step', '=', 0)
    .execute();
  const byGroup = new Map(rows.map((row) => [row.group_id, row]));
  return (state.replies[0] ?? []).map(({ group, digest }) => {
    const row = byGroup.get(group);
    if (row?.digest !== digest) throw lost(group, state.round);
    return { group, digest, blob: row.blob, size: row.size };
  });
}

function lost(group: string, round: number): PluralError {
  return new PluralError(
    'CHECKPOINT_CORRUPT',
    `the update of group "${group}" in round ${round} is missing or damaged`,
    {
      hint: 'Restore the blob store from a backup.',
    },
  );
}

/** Adds all updates, one in memory at a time and the next on its way, and lets other work in between. */
async function addAll(
  { blobs }: Aggregator,
  kept: readonly Kept[],
  round: number,
  fold: Fold,
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
    fold.add(viewSubmission(bytes).update);
    await setImmediate();
  }
}

interface Folded {
  readonly model: Model;
  readonly strategyState: StrategyState;
  readonly updates: number;
  readonly uploadedBytes: number;
}

async function foldUpdates(aggregator: Aggregator, plans: PlanCache, due: DueRound): Promise<Folded> {
  const { run, state, strategyState } = due;
  const { definition } = await aggregator.db
    .selectFrom('runs')
    .select('definition')
    .where('id', '=', run)
    .executeTakeFirstOrThrow();
  const { protection, strategy } = plans.get(due.digest, definition.plan);
  const record = await recordOf(aggregator, run, state.round - 1);
  if (record === null) throw unknownRun(run);
  const model = await readModel(aggregator, record);
  const kept = await listed(aggregator, due);
  aggregator.observe({ type: 'folding', run, round: state.round, updates: kept.length });
  const fold = protection.fold(state.round, model.parameters.length);
  await addAll(aggregator, kept, state.round, fold);
  const next = strategy.next(model, fold.finish(), strategyState);
  const uploadedBytes = kept.reduce((sum, { size }) => sum + size, 0);
  return { model: next.model, strategyState: next.state, updates: kept.length, uploadedBytes };
}

/** Moves the run on to the next round, unless another replica did. */
async function publish(aggregator: Aggregator, run: string, folded: Folded): Promise<boolean> {
  const { model, strategyState, updates, uploadedBytes } = folded;
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
    await locked.event('published', { round, model: model.digest, updates });
    await locked.deliver({ type: 'folded', round });
    return true;
  });
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
