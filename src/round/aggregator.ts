import { PluralError } from '../core/errors.ts';
import {
  type AggregatorState,
  awaited,
  digestFrom,
  leastOf,
  type Reply,
  repliesNow,
} from './aggregator-state.ts';
import { drawGroups } from './draw-groups.ts';

/**
 * The aggregator's side of a run as a pure state machine: (state, message) -> (state, effects). It has no clock,
 * no I/O and no randomness of its own; whoever drives it (simulator, server, tests) carries out the effects and
 * reports back with messages. A round is a list of collection steps, then one fold.
 */
export type AggregatorMessage =
  | { readonly type: 'join'; readonly group: string }
  | { readonly type: 'leave'; readonly group: string }
  /** Begins the first round, or opens a failed one again with the groups that are enrolled now, or skips it. */
  | { readonly type: 'start' }
  | {
      readonly type: 'submission';
      readonly group: string;
      readonly round: number;
      readonly step: number;
      readonly digest: string;
    }
  | { readonly type: 'deadline'; readonly round: number; readonly step: number }
  | { readonly type: 'folded'; readonly round: number }
  /** The round's updates make no usable model; trying again would not help. */
  | { readonly type: 'unfoldable'; readonly round: number; readonly reason: string }
  /** The sum cannot be opened with the replies that the last step ended with; more may come. */
  | { readonly type: 'incomplete'; readonly round: number; readonly reason: string }
  /** Ends the run for good, whatever it waits for; the last model stays. */
  | { readonly type: 'stop' };

export type RefusalReason =
  | 'wrong-round'
  | 'wrong-step'
  | 'not-asked'
  | 'changed-submission'
  | 'not-collecting';

export type AggregatorEffect =
  /** Ask these groups for their part in a step; step 0 begins a round from the current model. */
  | {
      readonly type: 'ask';
      readonly round: number;
      readonly attempt: number;
      readonly step: number;
      readonly from: readonly string[];
    }
  /** The submission is part of the round; a repetition of the same bytes is acknowledged again. */
  | {
      readonly type: 'acknowledge';
      readonly group: string;
      readonly round: number;
      readonly step: number;
      readonly repeated: boolean;
    }
  | {
      readonly type: 'refuse';
      readonly group: string;
      readonly round: number;
      readonly step: number;
      readonly reason: RefusalReason;
    }
  /** Add up these submissions, listed by step, make the next model, report `folded`. */
  | {
      readonly type: 'fold';
      readonly round: number;
      readonly replies: readonly (readonly Reply[])[];
    }
  | { readonly type: 'finish'; readonly rounds: number }
  | { readonly type: 'fail'; readonly round: number; readonly reason: string };

export interface AggregatorStep {
  readonly state: AggregatorState;
  readonly effects: readonly AggregatorEffect[];
}

type SubmissionMessage = Extract<AggregatorMessage, { type: 'submission' }>;

const stay = (state: AggregatorState): AggregatorStep => ({ state, effects: [] });

/** What the driver has to do in this state, also after a restart that lost all but the state. */
export function outstandingEffects(state: AggregatorState): AggregatorEffect[] {
  const { phase, round, attempt, step, asked, replies, rounds, failure } = state;
  switch (phase) {
    case 'waiting':
      return [];
    case 'collecting':
      return [{ type: 'ask', round, attempt, step, from: asked }];
    case 'folding':
      return [{ type: 'fold', round, replies }];
    case 'finished':
      return [{ type: 'finish', rounds }];
    case 'stopped':
      return [{ type: 'finish', rounds: round }];
    case 'failed':
      return [{ type: 'fail', round, reason: failure ?? '' }];
  }
}

/** Enters a state, with what is to be done in it. */
const enter = (state: AggregatorState): AggregatorStep => ({ state, effects: outstandingEffects(state) });

function fail(state: AggregatorState, failure: string): AggregatorStep {
  return enter({ ...state, phase: 'failed', failure });
}

/** Groups that a step asks: who left is not asked again. */
function groupsOf(state: AggregatorState, step: number): string[] {
  const { steps, participants, replies, enrolled } = state;
  const candidates =
    steps[step]?.from === 'survivors' && step > 0
      ? (replies[step - 1] ?? []).map(({ group }) => group)
      : participants;
  const present = new Set(enrolled);
  return candidates.filter((group) => present.has(group));
}

function beginStep(state: AggregatorState, step: number): AggregatorStep {
  const asked = groupsOf(state, step);
  const least = leastOf(state, step);
  if (asked.length < least) {
    const where = `step "${state.steps[step]?.name}" of round ${state.round}`;
    return fail(state, `${asked.length} groups are left for ${where}, ${least} are needed`);
  }
  return enter({ ...state, phase: 'collecting', step, asked, replies: [...state.replies, []] });
}

function openRound(state: AggregatorState, round: number): AggregatorStep {
  const attempt = round === state.round ? state.attempt + 1 : 1;
  const cleared = {
    ...state,
    round,
    attempt,
    participants: [],
    step: 0,
    asked: [],
    replies: [],
    failure: null,
    skipped: false,
  };
  const { enrolled, quorum } = state;
  if (enrolled.length < quorum) {
    return fail(cleared, `${enrolled.length} groups are enrolled, the quorum is ${quorum}`);
  }
  return beginStep({ ...cleared, participants: drawGroups(cleared, round) }, 0);
}

/** Whether a failed round is skipped when the run is started again. */
export function isSkippedByStart({ step, steps }: AggregatorState): boolean {
  return steps.slice(0, step + 1).some(({ once }) => once === true);
}

/**
 * Opens a failed round again, or skips it: where a step was begun that groups reply to once in a round, they take part in no other
 * attempt.
 */
function startAgain(state: AggregatorState): AggregatorStep {
  if (!isSkippedByStart(state)) return openRound(state, state.round);
  return enter({ ...state, phase: 'folding', failure: null, skipped: true });
}

function nextRound(state: AggregatorState): AggregatorStep {
  if (state.round >= state.rounds) return enter({ ...state, phase: 'finished' });
  return openRound(state, state.round + 1);
}

/** After a step comes the next, after the last the fold. */
function endStep(state: AggregatorState): AggregatorStep {
  if (state.step + 1 < state.steps.length) return beginStep(state, state.step + 1);
  return enter({ ...state, phase: 'folding' });
}

function endStepWhenComplete({ state, effects }: AggregatorStep): AggregatorStep {
  const complete = state.phase === 'collecting' && repliesNow(state).length === state.asked.length;
  if (!complete) return { state, effects };
  const ended = endStep(state);
  return { state: ended.state, effects: [...effects, ...ended.effects] };
}

function join(state: AggregatorState, group: string): AggregatorStep {
  if (state.enrolled.includes(group)) return stay(state);
  return stay({ ...state, enrolled: [...state.enrolled, group].sort() });
}

/** A group that leaves is not waited for any more; what it already sent stays in the round. */
function leave(state: AggregatorState, group: string): AggregatorStep {
  const enrolled = state.enrolled.filter((member) => member !== group);
  if (!awaited(state).includes(group)) return stay({ ...state, enrolled });
  const asked = state.asked.filter((member) => member !== group);
  const left = { ...state, enrolled, asked };
  const least = leastOf(state, state.step);
  if (asked.length < least) {
    return fail(left, `${asked.length} groups are left in round ${state.round}, ${least} are needed`);
  }
  return endStepWhenComplete(stay(left));
}

function refusalOf(
  state: AggregatorState,
  { group, round, step, digest }: SubmissionMessage,
): RefusalReason | null {
  if (round !== state.round) return 'wrong-round';
  const before = digestFrom(state, step, group);
  if (before !== undefined) return before === digest ? null : 'changed-submission';
  if (step !== state.step) return 'wrong-step';
  if (!state.asked.includes(group)) return 'not-asked';
  return state.phase === 'collecting' ? null : 'not-collecting';
}

/** With the reply at its place: the state does not show who came first. */
function withReply(state: AggregatorState, { group, digest }: SubmissionMessage): AggregatorState {
  const now = [...repliesNow(state), { group, digest }].sort((a, b) => (a.group < b.group ? -1 : 1));
  return { ...state, replies: [...state.replies.slice(0, state.step), now] };
}

function receive(state: AggregatorState, message: SubmissionMessage): AggregatorStep {
  const { group, round, step } = message;
  const reason = refusalOf(state, message);
  if (reason !== null) return { state, effects: [{ type: 'refuse', group, round, step, reason }] };
  const repeated = digestFrom(state, step, group) !== undefined;
  const effects = [{ type: 'acknowledge', group, round, step, repeated } as const];
  return repeated ? { state, effects } : endStepWhenComplete({ state: withReply(state, message), effects });
}

function deadline(state: AggregatorState, round: number, step: number): AggregatorStep {
  if (state.phase !== 'collecting' || round !== state.round || step !== state.step) return stay(state);
  const count = repliesNow(state).length;
  const least = leastOf(state, step);
  if (count >= least) return endStep(state);
  if (state.steps[step]?.patient === true) return stay(state);
  const missing = awaited(state).join(', ');
  return fail(state, `round ${round}: ${count} of ${least} needed updates came in time; missing: ${missing}`);
}

/** Waits for those who have not replied to a patient last step; with nobody left to wait for, the round has failed. */
function waitOn(state: AggregatorState, reason: string): AggregatorStep {
  const replied = new Set(repliesNow(state).map(({ group }) => group));
  const present = new Set(state.enrolled);
  const asked = state.asked.filter((group) => replied.has(group) || present.has(group));
  const patient = state.steps[state.step]?.patient === true && !state.skipped;
  if (!patient || asked.length === replied.size) return fail(state, reason);
  return enter({ ...state, phase: 'collecting', asked });
}

/** One step of the run. Messages that do not fit the state change nothing, or are refused with a reason. */
export function stepAggregator(state: AggregatorState, message: AggregatorMessage): AggregatorStep {
  if (message.type === 'submission') return receive(state, message);
  const { phase, round } = state;
  if (phase === 'finished' || phase === 'stopped') return stay(state);
  switch (message.type) {
    case 'join':
      return join(state, message.group);
    case 'leave':
      return leave(state, message.group);
    case 'start':
      if (phase === 'failed') return startAgain(state);
      return phase === 'waiting' ? nextRound(state) : stay(state);
    case 'deadline':
      return deadline(state, message.round, message.step);
    case 'folded':
      return phase === 'folding' && message.round === round ? nextRound(state) : stay(state);
    case 'unfoldable':
      return phase === 'folding' && message.round === round ? fail(state, message.reason) : stay(state);
    case 'incomplete':
      return phase === 'folding' && message.round === round ? waitOn(state, message.reason) : stay(state);
    case 'stop':
      return enter({ ...state, phase: 'stopped', failure: null });
  }
}

/** The error that a failed run ends with. */
export function roundFailure(reason: string): PluralError {
  return new PluralError('ROUND_FAILED', reason, {
    hint: 'Find out why the missing groups did not answer; the round can be started again.',
  });
}
