import { join } from 'node:path';
import { rawFrom } from '../config/load.ts';
import { PluralError } from '../core/errors.ts';
import { isFolder, readFileText } from '../core/files.ts';
import { gridTable } from '../report/grid/table.ts';
import { SUMMARY_FILE } from '../report/grid/write.ts';
import { gridIn } from '../simulate/grid/definition.ts';
import { type Grid, gridOver } from '../simulate/grid/grid.ts';
import { runGrid } from '../simulate/grid/run-grid.ts';
import { isGrid } from '../simulate/run-folder.ts';
import { parseAxis, parseSeeds } from './grid-flags.ts';
import { showGridProgress } from './grid-progress.ts';
import { interruptible } from './interrupt.ts';
import type { Terminal } from './terminal.ts';

/** The flags of `run` that make a grid of it. */
export interface GridFlags {
  /** Configuration file, or the folder of a grid. */
  readonly config: string;
  readonly overrides: readonly string[];
  /** The flag that is short for seed=N. */
  readonly seed: number | undefined;
  readonly seeds: string | undefined;
  readonly grid: readonly string[];
  readonly outputDir: string | undefined;
  readonly resume: boolean;
}

/** Whether many runs are asked for: by a flag, or by the folder of a grid. */
export function asksForGrid({ config, seeds, grid }: GridFlags): boolean {
  return seeds !== undefined || grid.length > 0 || (isFolder(config) && isGrid(config));
}

interface Chosen {
  readonly grid: Grid;
  readonly folder: string | null;
}

/** Errors: USAGE where a folder is given with flags that its definition has settled. */
function choose({ config, overrides, seed, seeds, grid, outputDir }: GridFlags): Chosen {
  if (!isFolder(config)) {
    const base = rawFrom(readFileText(config), config, overrides);
    const choice = seeds === undefined ? null : parseSeeds(seeds);
    if (seed !== undefined && choice !== null && 'list' in choice) {
      throw new PluralError('USAGE', '--seed has no effect where --seeds lists the seeds', {
        hint: 'Give one of them; --seed 3 --seeds 5 counts five seeds from 3.',
      });
    }
    return { grid: gridOver(base, grid.map(parseAxis), choice), folder: outputDir ?? null };
  }
  if (seeds !== undefined || grid.length > 0) {
    throw new PluralError('USAGE', `${config} is a folder: what runs in it is settled`, {
      hint: `Give the folder alone with --resume. More seeds: the configuration file with --seeds and --grid as they were made, --resume and --output-dir ${config}.`,
    });
  }
  if (outputDir !== undefined) {
    throw new PluralError('USAGE', 'a grid goes on in its own folder, without --output-dir');
  }
  return { grid: gridIn(config, overrides), folder: config };
}

/** Runs or resumes a grid, and prints what it says. */
export async function runGridCommand(flags: GridFlags, terminal: Terminal): Promise<void> {
  const { grid, folder } = choose(flags);
  const interrupt = interruptible();
  const outcome = await runGrid(grid, {
    folder,
    resume: flags.resume,
    emit: showGridProgress(terminal),
    signal: interrupt.signal,
  });
  const { records, summary, report } = outcome;
  terminal.event({ type: 'grid-result', path: join(outcome.folder, SUMMARY_FILE), report, summary });
  terminal.print(`\n${gridTable(records, summary, terminal.width)}\n\nReport: ${report}`);
}
