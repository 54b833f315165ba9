import { aggregatorStateSchema, digestFrom } from '../round/aggregator-state.ts';
import type { Task } from '../wire/http.ts';
import type { Aggregator } from './aggregator.ts';
import { unknownRun } from './locked-run.ts';
import type { Member } from './members.ts';

/** Groups ask again so often that a thousand of them together make some hundred requests a second. */
function pollAfterMs(groups: number): number {
  return Math.min(10_000, Math.max(250, 5 * groups));
}

/** What is asked of a group now. Errors: AGGREGATOR_UNKNOWN_RUN. */
export async function taskOf({ db }: Aggregator, { run, group_id }: Member): Promise<Task> {
  const row = await db
    .selectFrom('runs')
    .innerJoin('models', 'models.run', 'runs.id')
    .select(['runs.state', 'runs.deadline_at', 'models.record'])
    .where('runs.id', '=', run)
    .orderBy('models.round', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) throw unknownRun(run);
  const state = aggregatorStateSchema.parse(row.state);
  return {
    phase: state.phase,
    round: state.round,
    rounds: state.rounds,
    step: state.step,
    asked: state.phase === 'collecting' && state.asked.includes(group_id),
    replied: digestFrom(state, state.step, group_id) ?? null,
    model: row.record,
    failure: state.failure,
    deadlineAt: row.deadline_at,
    pollAfterMs: pollAfterMs(state.enrolled.length),
  };
}
