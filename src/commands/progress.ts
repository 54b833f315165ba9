import type { Summary } from '../evaluate/evaluation.ts';
import type { Emit, RunEvent } from '../simulate/events.ts';
import type { Terminal } from './terminal.ts';

/** With these a line of three-digit rounds fits 80 columns. */
const BAR_WIDTH = 12;
const LABEL_WIDTH = 25;

function bar(done: number, total: number): string {
  const filled = Math.round((BAR_WIDTH * done) / Math.max(1, total));
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
}

function alignmentText(summaries: Readonly<Partial<Record<string, Summary>>>): string {
  return Object.entries(summaries)
    .map(([split, summary]) => `${split} ${summary?.mean.toFixed(3)}`)
    .join(', ');
}

/**
 * Shows a run: a bar with rounds, loss and the unseen groups' alignment that is redrawn on a terminal, one plain line per evaluation without one, one JSON object per
 * event under --json, nothing under --quiet.
 */
export function showProgress(terminal: Terminal): Emit {
  let label = '';
  let alignment = '';
  let loss = '';
  let latest = '';
  const draw = (round: number, rounds: number) => {
    const text = `${label.padEnd(LABEL_WIDTH)} ${bar(round, rounds)} ${round}/${rounds}${loss}${latest}`;
    if (terminal.interactive) terminal.redraw(text.slice(0, terminal.columns - 1));
  };
  const handlers: {
    readonly [Type in RunEvent['type']]: (event: Extract<RunEvent, { type: Type }>) => void;
  } = {
    start: ({ folder }) => terminal.note(`Run folder: ${folder}`),
    warning: ({ message }) => terminal.note(`warning: ${message}`),
    begin: (event) => {
      ({ label } = event);
      alignment = '';
      latest = '';
      loss = '';
      draw(event.round, event.rounds);
    },
    round: (event) => {
      loss = `  loss ${event.loss.toFixed(4)}`;
      draw(event.round, event.rounds);
    },
    'local-model': (event) => {
      loss = `  loss ${event.loss.toFixed(4)}`;
      draw(event.model, event.models);
    },
    evaluation: ({ round, summaries }) => {
      alignment = `  alignment: ${alignmentText(summaries)}`;
      latest = summaries.unseen === undefined ? '' : `  alignment ${summaries.unseen.mean.toFixed(3)}`;
      if (!terminal.interactive) terminal.note(`${label}: round ${round}${loss}${alignment}`);
    },
    end: ({ method }) => {
      if (terminal.interactive) terminal.note(`${(label || method).padEnd(LABEL_WIDTH)} done${alignment}`);
    },
    done: () => terminal.redraw(''),
  };
  return (event) => {
    terminal.event(event);
    const handle = handlers[event.type] as (event: RunEvent) => void;
    handle(event);
  };
}
