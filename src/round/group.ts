/**
 * A group's side of a run as a pure state machine, the counterpart of aggregator.ts. A group works once on each
 * step that it is asked for: asked twice, it sends the same bytes twice.
 */
export interface GroupState {
  readonly group: string;
  readonly phase: 'idle' | 'working' | 'sending' | 'sent' | 'finished';
  /** The round it works on or worked on last; 0 before the first. */
  readonly round: number;
  /** Which opening of that round. */
  readonly attempt: number;
  /** The step of that round. */
  readonly step: number;
}

export interface Place {
  readonly round: number;
  readonly attempt: number;
  readonly step: number;
}

export type GroupMessage =
  | ({ readonly type: 'asked' } & Place)
  | ({ readonly type: 'done' } & Place)
  | ({ readonly type: 'acknowledged' } & Place)
  | ({ readonly type: 'refused'; readonly reason: string } & Place)
  /** The aggregator gave the round up; it may be opened again from its first step. */
  | { readonly type: 'failed'; readonly round: number }
  | { readonly type: 'finished' };

export type GroupEffect =
  /** Do this group's part of the step (in the first: train, protect the update), report `done`. */
  | ({ readonly type: 'work' } & Place)
  /** Send the result of the step; the same bytes again if asked again. */
  | ({ readonly type: 'send' } & Place)
  | ({ readonly type: 'give-up'; readonly reason: string } & Place);

export interface GroupStep {
  readonly state: GroupState;
  readonly effects: readonly GroupEffect[];
}

/** A group before its first round. */
export function newGroup(group: string): GroupState {
  return { group, phase: 'idle', round: 0, attempt: 1, step: 0 };
}

/** What the driver has to do in this state, also after a restart that lost all but the state. */
export function outstandingGroupEffects({ phase, round, attempt, step }: GroupState): GroupEffect[] {
  if (phase === 'working') return [{ type: 'work', round, attempt, step }];
  return phase === 'sending' || phase === 'sent' ? [{ type: 'send', round, attempt, step }] : [];
}

const stay = (state: GroupState): GroupStep => ({ state, effects: [] });
const enter = (state: GroupState): GroupStep => ({ state, effects: outstandingGroupEffects(state) });

/** Below 0 where one place comes before another. */
function compare(a: Place, b: Place): number {
  return a.round - b.round || a.attempt - b.attempt || a.step - b.step;
}

function asked(state: GroupState, { round, attempt, step }: Place): GroupStep {
  const order = compare({ round, attempt, step }, state);
  if (order < 0) return stay(state);
  // A step that was given up may be asked for again.
  if (order > 0 || state.phase === 'idle') return enter({ ...state, phase: 'working', round, attempt, step });
  // The same step again: the aggregator did not get what was sent, or forgot that it asked.
  return state.phase === 'working' ? stay(state) : enter(state);
}

/** One step of a group. Messages of other rounds or steps, or in the wrong phase, change nothing. */
export function stepGroup(state: GroupState, message: GroupMessage): GroupStep {
  const { phase, round, attempt, step } = state;
  if (phase === 'finished') return stay(state);
  if (message.type === 'finished') return stay({ ...state, phase: 'finished' });
  if (message.type === 'asked') return asked(state, message);
  if (message.round !== round) return stay(state);
  if (message.type === 'failed') return stay({ ...state, phase: 'idle', step: 0 });
  if (message.attempt !== attempt || message.step !== step) return stay(state);
  switch (message.type) {
    case 'done':
      return phase === 'working' ? enter({ ...state, phase: 'sending' }) : stay(state);
    case 'acknowledged':
      return stay(phase === 'sending' ? { ...state, phase: 'sent' } : state);
    case 'refused': {
      if (phase !== 'sending') return stay(state);
      const { reason } = message;
      return {
        state: { ...state, phase: 'idle' },
        effects: [{ type: 'give-up', round, attempt, step, reason }],
      };
    }
  }
}
