/**
 * A group's side of a run as a pure state machine, the counterpart of aggregator.ts. A group trains once per
 * round: an announcement that comes twice does not make it train, or send, something else.
 */
export interface GroupState {
  readonly group: string;
  readonly phase: 'idle' | 'training' | 'submitting' | 'submitted' | 'done';
  /** The round it works on or worked on last; 0 before the first. */
  readonly round: number;
}

export type GroupMessage =
  | { readonly type: 'announced'; readonly round: number; readonly participants: readonly string[] }
  | { readonly type: 'trained'; readonly round: number }
  | { readonly type: 'acknowledged'; readonly round: number }
  | { readonly type: 'refused'; readonly round: number; readonly reason: string }
  | { readonly type: 'finished' };

export type GroupEffect =
  /** Train on the current model, protect the update, report `trained`. */
  | { readonly type: 'train'; readonly round: number }
  /** Send the protected update of the round; the same bytes again if asked again. */
  | { readonly type: 'submit'; readonly round: number }
  | { readonly type: 'give-up'; readonly round: number; readonly reason: string };

export interface GroupStep {
  readonly state: GroupState;
  readonly effects: readonly GroupEffect[];
}

/** A group before its first round. */
export function newGroup(group: string): GroupState {
  return { group, phase: 'idle', round: 0 };
}

const stay = (state: GroupState): GroupStep => ({ state, effects: [] });

function announced(state: GroupState, round: number, participants: readonly string[]): GroupStep {
  if (!participants.includes(state.group) || round < state.round) return stay(state);
  if (round > state.round) {
    return { state: { ...state, phase: 'training', round }, effects: [{ type: 'train', round }] };
  }
  // The same round again: the aggregator did not get what was sent, or forgot that it announced.
  const again = state.phase === 'submitting' || state.phase === 'submitted';
  return again ? { state, effects: [{ type: 'submit', round }] } : stay(state);
}

/** One step of a group. Messages of other rounds, or in the wrong phase, change nothing. */
export function stepGroup(state: GroupState, message: GroupMessage): GroupStep {
  if (state.phase === 'done') return stay(state);
  if (message.type === 'finished') return stay({ ...state, phase: 'done' });
  if (message.type === 'announced') return announced(state, message.round, message.participants);
  if (message.round !== state.round) return stay(state);
  switch (message.type) {
    case 'trained':
      if (state.phase !== 'training') return stay(state);
      return {
        state: { ...state, phase: 'submitting' },
        effects: [{ type: 'submit', round: message.round }],
      };
    case 'acknowledged':
      return stay(state.phase === 'submitting' ? { ...state, phase: 'submitted' } : state);
    case 'refused':
      if (state.phase !== 'submitting') return stay(state);
      return {
        state: { ...state, phase: 'idle' },
        effects: [{ type: 'give-up', round: message.round, reason: message.reason }],
      };
  }
}
