import type { CellNames, EmitGrid, GridEvent } from '../simulate/grid/events.ts';
import { showProgress } from './progress.ts';
import type { Terminal } from './terminal.ts';

const STATES: Readonly<Record<Extract<GridEvent, { type: 'cell' }>['state'], string>> = {
  new: '',
  resumed: ' (goes on)',
  finished: ' (finished before)',
};

/** What the seeds change: two experiments that are both legitimate, and not the same. */
function aboutSplits({ seeds, seedsDrawSplits }: Extract<GridEvent, { type: 'grid' }>): string {
  if (seeds.length === 1) return '';
  return seedsDrawSplits
    ? 'Each seed also draws its own training and unseen groups; data.splitSeed=N keeps one split for all seeds.'
    : 'All seeds share one split of the groups.';
}

function numberOf({ number, cells }: CellNames): string {
  return `${number} of ${cells}`;
}

function nameOf({ setting, seed }: CellNames): string {
  return `${setting}, seed ${seed}`;
}

/** Shows a grid: a line for each run, one more where it fails, and between them what `showProgress` shows of the run. */
export function showGridProgress(terminal: Terminal): EmitGrid {
  const showRun = showProgress(terminal);
  return (event) => {
    if (event.type === 'grid') {
      terminal.event(event);
      const runs = event.settings.length * event.seeds.length;
      terminal.note(`Grid folder: ${event.folder} (${runs} runs)`);
      const about = aboutSplits(event);
      if (about !== '') terminal.note(about);
    } else if (event.type === 'cell') {
      terminal.event(event);
      terminal.note(`\nRun ${numberOf(event)}: ${nameOf(event)}${STATES[event.state]}`);
    } else if (event.type === 'cell-failed') {
      terminal.event(event);
      terminal.note(`Run ${numberOf(event)} failed: ${nameOf(event)}: ${event.code}: ${event.message}`);
    } else showRun(event);
  };
}
