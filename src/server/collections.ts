import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import type { Collection, RoundContext } from '../privacy/protection.ts';
import { type AggregatorState, aggregatorStateSchema } from '../round/aggregator-state.ts';
import type { ModelRecord } from '../wire/model-record.ts';
import type { ProtectedUpdate } from '../wire/stages.ts';
import { viewSubmission } from '../wire/submission.ts';
import type { Aggregator } from './aggregator.ts';
import { unknownRun } from './locked-run.ts';
import type { OpenPlan } from './plan.ts';

/** A run's round under way, as the database has it. */
export interface CurrentRound {
  readonly run: string;
  readonly digest: string;
  readonly state: AggregatorState;
  /** The newest model. */
  readonly record: ModelRecord;
  readonly deadlineAt: number | null;
}

/** Errors: AGGREGATOR_UNKNOWN_RUN. */
export async function currentRound({ db }: Aggregator, run: string): Promise<CurrentRound> {
  const row = await db
    .selectFrom('runs')
    .innerJoin('models', 'models.run', 'runs.id')
    .select(['runs.digest', 'runs.state', 'runs.deadline_at', 'models.record'])
    .where('runs.id', '=', run)
    .orderBy('models.round', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) throw unknownRun(run);
  const { digest, state, record, deadline_at: deadlineAt } = row;
  return { run, digest, state: aggregatorStateSchema.parse(state), record, deadlineAt };
}

/** What the groups of the round under way know of it. */
export function contextOf({ digest, state, record }: CurrentRound, parameters: number): RoundContext {
  const { round, attempt } = state;
  return { run: digest, round, attempt, model: record.model, parameters };
}

/** A submission that a round lists. */
export interface Kept {
  readonly group: string;
  readonly digest: string;
  readonly blob: string;
  readonly size: number;
  readonly note: Uint8Array;
}

/** The submissions that the round lists in a step, in its order. Errors: CHECKPOINT_CORRUPT. */
export async function listedIn(
  { db }: Aggregator,
  { run, state }: CurrentRound,
  step: number,
): Promise<Kept[]> {
  const rows = await db
    .selectFrom('submissions')
    .select(['group_id', 'digest', 'blob', 'size', 'note'])
    .where('run', '=', run)
    .where('round', '=', state.round)
    .where('step', '=', step)
    .execute();
  const byGroup = new Map(rows.map((row) => [row.group_id, row]));
  return (state.replies[step] ?? []).map(({ group, digest }) => {
    const row = byGroup.get(group);
    if (row?.digest !== digest) throw lost(group, state.round);
    return { group, digest, blob: row.blob, size: row.size, note: row.note ?? NOTHING };
  });
}

/** The error of a submission that was accepted and is not there. */
export function lost(group: string, round: number): PluralError {
  return new PluralError(
    'CHECKPOINT_CORRUPT',
    `the update of group "${group}" in round ${round} is missing or damaged`,
    { hint: 'Restore the blob store from a backup.' },
  );
}

/** Names of those who replied to a step. */
export function repliersOf({ replies }: AggregatorState, step: number): string[] {
  return (replies[step] ?? []).map(({ group }) => group);
}

async function read(
  { blobs }: Aggregator,
  { group, digest, blob }: Kept,
  round: number,
): Promise<ProtectedUpdate> {
  const bytes = await blobs.read(blob);
  if (bytes === null || sha256(bytes) !== digest) throw lost(group, round);
  return viewSubmission(bytes).update;
}

/** Collects again what came in the steps before the one under way; the updates themselves are only needed for the sum. */
async function collectAgain(
  aggregator: Aggregator,
  plan: OpenPlan,
  current: CurrentRound,
): Promise<Collection> {
  const { protection, layout } = plan;
  const { state } = current;
  await protection.prepare();
  const collection = protection.collect(contextOf(current, layout.size));
  for (let step = 0; step < state.step; step++) {
    for (const kept of await listedIn(aggregator, current, step)) {
      const update = step === protection.updateStep;
      if (update) collection.recall(step, kept.group, kept.note);
      else collection.add(step, await read(aggregator, kept, state.round));
    }
    collection.close(step, repliersOf(state, step));
  }
  return collection;
}

const MOST_KEPT = 8;
const NOTHING = new Uint8Array();

/**
 * The collections of the steps under way, as far as their closed steps go: what a step shows and what it accepts follows from
 * them. They only repeat what the stores say; every replica has its own.
 */
export class Collections {
  readonly #kept = new Map<string, Promise<Collection>>();

  /** The collection of the step under way. Nothing may be added to it. Errors: CHECKPOINT_CORRUPT, STORE_UNAVAILABLE. */
  at(aggregator: Aggregator, plan: OpenPlan, current: CurrentRound): Promise<Collection> {
    const { digest, state } = current;
    const key = [digest, state.round, state.attempt, state.step].join('/');
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    const made = collectAgain(aggregator, plan, current);
    this.#kept.set(key, made);
    // What failed is tried again by the next who asks.
    made.catch(() => this.#kept.delete(key));
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MOST_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    return made;
  }
}
