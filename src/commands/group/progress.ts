import type { EmitGroupEvent, GroupEvent } from '../../client/group-events.ts';
import { formatBytes } from '../../core/bytes.ts';
import type { Terminal } from '../terminal.ts';

type Phase = Extract<GroupEvent, { type: 'phase' }>;

/** What a phase means for this group, in words. */
function phaseText({ phase, round, rounds, asked, failure }: Phase): string {
  switch (phase) {
    case 'waiting':
      return 'waiting for the run to start';
    case 'collecting':
      return asked
        ? `round ${round} of ${rounds}`
        : `round ${round} of ${rounds} is under way without this group; it is asked in the next`;
    case 'folding':
      return `round ${round} of ${rounds}: the aggregator adds the updates`;
    case 'failed':
      return `round ${round} stands still until it is started again: ${failure}`;
    case 'finished':
      return `the run is finished after ${round} rounds`;
    case 'stopped':
      return `the run was stopped in round ${round}`;
  }
}

/**
 * Shows a group's side of a run: lines for what happened and a line that is redrawn on a terminal for what goes on, one
 * JSON object per event under --json, nothing under --quiet.
 */
export function showGroup(
  terminal: Terminal,
  who: { readonly group: string; readonly run: string },
): EmitGroupEvent {
  const draw = (text: string) => {
    if (terminal.interactive) terminal.redraw(`${who.group}: ${text}`.slice(0, terminal.columns - 1));
  };
  const handlers: {
    readonly [Type in GroupEvent['type']]: (event: Extract<GroupEvent, { type: Type }>) => void;
  } = {
    phase: (event) => terminal.note(`${who.group}: ${phaseText(event)}`),
    model: ({ round, model, updates }) =>
      terminal.note(`  model of round ${round} (${updates} updates): ${model.slice(0, 12)}, checked`),
    score: ({ alignment, questions }) =>
      terminal.note(`  alignment on own answers: ${alignment.toFixed(4)} (${questions} questions)`),
    training: () => draw('training'),
    trained: ({ loss }) => terminal.note(`  trained: loss ${loss.toFixed(4)}`),
    transfer: ({ direction, doneBytes, allBytes }) =>
      draw(
        `${direction === 'up' ? 'sent' : 'fetched'} ${formatBytes(doneBytes)} of ${formatBytes(allBytes)}`,
      ),
    sent: ({ digest }) => {
      terminal.note(`  sent: ${digest.slice(0, 12)}, taken`);
      draw('waiting for the others');
    },
    refused: ({ message }) => terminal.note(`  not taken: ${message}`),
    warning: ({ message }) => terminal.note(`warning: ${message}`),
    ended: () => terminal.redraw(''),
  };
  return (event) => {
    terminal.event(event);
    const handle = handlers[event.type] as (event: GroupEvent) => void;
    handle(event);
  };
}
