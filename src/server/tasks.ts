import { PluralError } from '../core/errors.ts';
import { digestFrom } from '../round/aggregator-state.ts';
import type { Task } from '../wire/http.ts';
import type { Aggregator } from './aggregator.ts';
import { type Collections, currentRound } from './collections.ts';
import type { Member } from './members.ts';
import type { OpenPlan } from './plan.ts';

/** Groups ask again so often that a thousand of them together make some hundred requests a second. */
function pollAfterMs(groups: number): number {
  return Math.min(10_000, Math.max(250, 5 * groups));
}

/** What is asked of a group now. Errors: AGGREGATOR_UNKNOWN_RUN. */
export async function taskOf(aggregator: Aggregator, { run, group_id }: Member): Promise<Task> {
  const { state, record, deadlineAt } = await currentRound(aggregator, run);
  return {
    phase: state.phase,
    round: state.round,
    rounds: state.rounds,
    attempt: state.attempt,
    step: state.step,
    asked: state.phase === 'collecting' && state.asked.includes(group_id),
    replied: digestFrom(state, state.step, group_id) ?? null,
    model: record,
    failure: state.failure,
    deadlineAt,
    pollAfterMs: pollAfterMs(state.enrolled.length),
  };
}

/**
 * What the step under way shows a group that it asks; some bytes that the run's protection knows how to read.
 * Errors: UPDATE_OF_ANOTHER_ROUND, GROUP_NOT_ASKED, CHECKPOINT_CORRUPT.
 */
export async function shownTo(
  { aggregator, collections, plan }: { aggregator: Aggregator; collections: Collections; plan: OpenPlan },
  { run, group_id: group }: Member,
  asked: { readonly round: number; readonly attempt: number; readonly step: number },
): Promise<Uint8Array> {
  const current = await currentRound(aggregator, run);
  const { round, attempt, step, phase } = current.state;
  const hint = 'The group should look up what is asked of it now.';
  if (phase !== 'collecting' || round !== asked.round || attempt !== asked.attempt || step !== asked.step) {
    throw new PluralError('UPDATE_OF_ANOTHER_ROUND', `group "${group}": this step is not under way`, {
      hint,
    });
  }
  if (!current.state.asked.includes(group)) {
    throw new PluralError('GROUP_NOT_ASKED', `the step does not ask group "${group}"`, { hint });
  }
  return (await collections.at(aggregator, plan, current)).show(step, group);
}
