import { join } from 'node:path';
import type { GridRecords } from '../../report/grid/records.ts';
import { type GridSummary, summariseGrid } from '../../report/grid/summary.ts';
import { writeGrid } from '../../report/grid/write.ts';
import type { RunRecord } from '../../report/record.ts';
import { readRecord } from '../../report/write.ts';
import { prepareExperiment } from '../experiment.ts';
import { fingerprintOf } from '../progress.ts';
import type { RunPlace } from '../run-folder.ts';
import { definitionOf, gridIn } from './definition.ts';
import type { EmitGrid } from './events.ts';
import { cellFolder, cellName, type Grid, inCell, seedsDrawSplits } from './grid.ts';
import { chooseGridFolder, openGridFolder } from './place.ts';
import { runCells } from './run-cells.ts';

export interface GridOptions extends RunPlace {
  /** Told everything that happens, as it happens. */
  readonly emit: EmitGrid;
  /** Stops the grid; what was stored stays and the grid can be resumed. */
  readonly signal?: AbortSignal;
}

export interface GridOutcome {
  readonly folder: string;
  readonly report: string;
  readonly records: GridRecords;
  readonly summary: GridSummary;
}

/**
 * Runs every cell of a grid, one after the other, and what they say together. All are prepared before the first one runs:
 * what one of them cannot do is refused at once. Finished cells are read, a half-done one goes on. One that fails stops no
 * other, but no summary is written until all are done. A grid that is resumed may have more seeds than before, after those.
 *
 * Errors: after the last cell the first of those of `runExperiment`, with its cell named; RUN_EXISTS, RUN_NOT_FOUND,
 * CHECKPOINT_MISMATCH, FOLDER_IN_USE; INTERRUPTED when `signal` fires.
 */
export async function runGrid(grid: Grid, options: GridOptions): Promise<GridOutcome> {
  const folder = chooseGridFolder(grid, options);
  const fingerprints = await fingerprintsOf(grid);
  const unlock = openGridFolder(folder, definitionOf(grid, fingerprints), options.resume);
  try {
    options.emit(startOf(grid, folder));
    const runs = await runCells({ ...options, folder, cells: grid.cells, fingerprints });
    const records = recordsOf(grid, runs);
    const summary = summariseGrid(records);
    return { folder, report: await writeGrid(folder, records, summary), records, summary };
  } finally {
    unlock();
  }
}

/** What each cell's numbers depend on; each is prepared for it, and let go again. */
async function fingerprintsOf({ cells }: Grid): Promise<string[]> {
  const fingerprints: string[] = [];
  for (const cell of cells) {
    try {
      // Its warnings come when it runs.
      fingerprints.push(fingerprintOf(await prepareExperiment(cell.config, () => {})));
    } catch (thrown) {
      throw inCell(cellName(cell), thrown);
    }
  }
  return fingerprints;
}

function startOf(grid: Grid, folder: string) {
  return {
    type: 'grid' as const,
    name: grid.name,
    folder,
    settings: grid.settings.map(({ label }) => label),
    seeds: grid.seeds,
    seedsDrawSplits: grid.seeds.length > 1 && grid.cells.some(({ config }) => seedsDrawSplits(config)),
  };
}

/**
 * The records of a grid whose cells are all done. Errors: RUN_NOT_FOUND for one that is not, CHECKPOINT_CORRUPT, those of
 * `gridIn`.
 */
export function readGridRecords(folder: string): GridRecords {
  const grid = gridIn(folder, []);
  return recordsOf(
    grid,
    grid.cells.map((cell) => readRecord(join(folder, cellFolder(cell)))),
  );
}

function recordsOf({ name, axes, seeds, settings, cells }: Grid, runs: readonly RunRecord[]): GridRecords {
  return {
    name,
    axes,
    seeds,
    settings: settings.map((setting) => {
      const own = cells.flatMap((cell, i) => (cell.setting === setting ? [{ cell, record: runs[i]! }] : []));
      const { slug, label, short, values } = setting;
      return {
        slug,
        label,
        short,
        values,
        seedsDrawSplits: seedsDrawSplits(own[0]!.cell.config),
        runs: own.map(({ cell, record }) => ({ seed: cell.seed, folder: cellFolder(cell), record })),
      };
    }),
  };
}
