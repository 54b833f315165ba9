import { invariant, PluralError } from '../core/errors.ts';

/**
 * The aggregator's side of a run as a pure state machine: (state, message) -> (state, effects). It has no clock,
 * no I/O and no randomness of its own; whoever drives it (simulator, server, tests) carries out the effects and
 * reports back with messages. States are plain JSON, so they can be stored and resumed.
 */
export interface AggregatorState {
  readonly phase: 'waiting' | 'collecting' | 'folding' | 'finished' | 'failed';
  /** The round under way or last finished; 0 before the first. */
  readonly round: number;
  readonly rounds: number;
  /** Fewest submissions that make a round. */
  readonly quorum: number;
  /** Enrolled groups in code-unit order; they take part from the next round on. */
  readonly enrolled: readonly string[];
  /** Groups of the round under way, in code-unit order. */
  readonly participants: readonly string[];
  /** Digest of each participant's accepted submission. */
  readonly received: Readonly<Record<string, string>>;
  /** Why the run failed. */
  readonly failure?: string;
}

export type AggregatorMessage =
  | { readonly type: 'join'; readonly group: string }
  | { readonly type: 'leave'; readonly group: string }
  | { readonly type: 'start' }
  | { readonly type: 'submission'; readonly group: string; readonly round: number; readonly digest: string }
  | { readonly type: 'deadline'; readonly round: number }
  | { readonly type: 'folded'; readonly round: number };

export type RefusalReason = 'wrong-round' | 'not-a-participant' | 'changed-submission' | 'not-collecting';

export type AggregatorEffect =
  /** Tell the participants to train on the current model. */
  | { readonly type: 'announce'; readonly round: number; readonly participants: readonly string[] }
  /** The submission is part of the round; a repetition of the same bytes is acknowledged again. */
  | {
      readonly type: 'acknowledge';
      readonly group: string;
      readonly round: number;
      readonly repeated: boolean;
    }
  | {
      readonly type: 'refuse';
      readonly group: string;
      readonly round: number;
      readonly reason: RefusalReason;
    }
  /** Add up these submissions, make the next model, report `folded`. */
  | {
      readonly type: 'fold';
      readonly round: number;
      readonly submissions: readonly { readonly group: string; readonly digest: string }[];
    }
  | { readonly type: 'finish'; readonly rounds: number }
  | { readonly type: 'fail'; readonly round: number; readonly reason: string };

export interface AggregatorStep {
  readonly state: AggregatorState;
  readonly effects: readonly AggregatorEffect[];
}

/** The state before anybody enrolled. `quorum` at least 1. */
export function newRun(options: { readonly rounds: number; readonly quorum: number }): AggregatorState {
  const { rounds, quorum } = options;
  invariant(quorum >= 1, 'a quorum of at least 1');
  return { phase: 'waiting', round: 0, rounds, quorum, enrolled: [], participants: [], received: {} };
}

const stay = (state: AggregatorState): AggregatorStep => ({ state, effects: [] });

/** Digest of what a group submitted in this round. A group may be called `constructor`, hence no plain access. */
function digestFrom({ received }: AggregatorState, group: string): string | undefined {
  return Object.hasOwn(received, group) ? received[group] : undefined;
}

/** Groups that a collecting round still waits for, in code-unit order. */
export function awaited(state: AggregatorState): string[] {
  if (state.phase !== 'collecting') return [];
  return state.participants.filter((group) => digestFrom(state, group) === undefined);
}

function fail(state: AggregatorState, reason: string): AggregatorStep {
  return {
    state: { ...state, phase: 'failed', failure: reason },
    effects: [{ type: 'fail', round: state.round, reason }],
  };
}

function beginRound(state: AggregatorState): AggregatorStep {
  if (state.round === state.rounds) {
    return { state: { ...state, phase: 'finished' }, effects: [{ type: 'finish', rounds: state.rounds }] };
  }
  const round = state.round + 1;
  const participants = state.enrolled;
  if (participants.length < state.quorum) {
    return fail(
      { ...state, round, participants: [], received: {} },
      `${participants.length} groups are enrolled, the quorum is ${state.quorum}`,
    );
  }
  return {
    state: { ...state, phase: 'collecting', round, participants, received: {} },
    effects: [{ type: 'announce', round, participants }],
  };
}

function beginFold(state: AggregatorState): AggregatorStep {
  // Participants are in order, so the fold does not depend on who was first.
  const submissions = state.participants.flatMap((group) => {
    const digest = digestFrom(state, group);
    return digest === undefined ? [] : [{ group, digest }];
  });
  return {
    state: { ...state, phase: 'folding' },
    effects: [{ type: 'fold', round: state.round, submissions }],
  };
}

function foldWhenComplete(step: AggregatorStep): AggregatorStep {
  const { state, effects } = step;
  if (state.phase !== 'collecting' || awaited(state).length > 0) return step;
  if (Object.keys(state.received).length < state.quorum) return step;
  const fold = beginFold(state);
  return { state: fold.state, effects: [...effects, ...fold.effects] };
}

function join(state: AggregatorState, group: string): AggregatorStep {
  if (state.enrolled.includes(group)) return stay(state);
  return stay({ ...state, enrolled: [...state.enrolled, group].sort() });
}

/** A group that leaves is not waited for any more; what it already submitted stays in the round. */
function leave(state: AggregatorState, group: string): AggregatorStep {
  const enrolled = state.enrolled.filter((member) => member !== group);
  const stays = digestFrom(state, group) !== undefined || state.phase !== 'collecting';
  const participants = stays ? state.participants : state.participants.filter((member) => member !== group);
  const left = { ...state, enrolled, participants };
  if (left.phase === 'collecting' && participants.length < left.quorum) {
    return fail(
      left,
      `${participants.length} groups are left in round ${left.round}, the quorum is ${left.quorum}`,
    );
  }
  return foldWhenComplete(stay(left));
}

function refusalOf(
  state: AggregatorState,
  { group, round, digest }: Extract<AggregatorMessage, { type: 'submission' }>,
): RefusalReason | null {
  if (round !== state.round) return 'wrong-round';
  if (!state.participants.includes(group)) return 'not-a-participant';
  const before = digestFrom(state, group);
  if (before !== undefined) return before === digest ? null : 'changed-submission';
  return state.phase === 'collecting' ? null : 'not-collecting';
}

function receive(
  state: AggregatorState,
  message: Extract<AggregatorMessage, { type: 'submission' }>,
): AggregatorStep {
  const { group, round, digest } = message;
  const reason = refusalOf(state, message);
  if (reason !== null) return { state, effects: [{ type: 'refuse', group, round, reason }] };
  const repeated = digestFrom(state, group) !== undefined;
  const acknowledged: AggregatorStep = {
    state: { ...state, received: { ...state.received, [group]: digest } },
    effects: [{ type: 'acknowledge', group, round, repeated }],
  };
  return repeated ? acknowledged : foldWhenComplete(acknowledged);
}

function deadline(state: AggregatorState, round: number): AggregatorStep {
  if (state.phase !== 'collecting' || round !== state.round) return stay(state);
  const count = Object.keys(state.received).length;
  if (count >= state.quorum) return beginFold(state);
  const missing = awaited(state).join(', ');
  return fail(
    state,
    `round ${round}: ${count} of ${state.quorum} needed updates came in time; missing: ${missing}`,
  );
}

/** One step of the run. Messages that do not fit the state change nothing, or are refused with a reason. */
export function stepAggregator(state: AggregatorState, message: AggregatorMessage): AggregatorStep {
  if (state.phase === 'finished' || state.phase === 'failed') {
    return message.type === 'submission' ? receive(state, message) : stay(state);
  }
  switch (message.type) {
    case 'join':
      return join(state, message.group);
    case 'leave':
      return leave(state, message.group);
    case 'start':
      return state.phase === 'waiting' ? beginRound(state) : stay(state);
    case 'submission':
      return receive(state, message);
    case 'deadline':
      return deadline(state, message.round);
    case 'folded':
      return state.phase === 'folding' && message.round === state.round ? beginRound(state) : stay(state);
  }
}

/** The error that a failed run ends with. */
export function roundFailure(reason: string): PluralError {
  return new PluralError('ROUND_FAILED', reason, {
    hint: 'Lower the quorum, give groups more time, or find out why the missing groups did not answer.',
  });
}
