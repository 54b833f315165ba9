import { join } from 'node:path';
import { asPluralError, PluralError } from '../../core/errors.ts';
import type { RunRecord } from '../../report/record.ts';
import { runExperiment } from '../run.ts';
import { isRun } from '../run-folder.ts';
import type { CellNames, EmitGrid, GridEvent } from './events.ts';
import { finishedRecord } from './finished.ts';
import { type Cell, cellFolder, cellName } from './grid.ts';
import { clearUnbegun } from './place.ts';

/** The cells of a grid in its folder. */
export interface GridCells {
  readonly folder: string;
  readonly cells: readonly Cell[];
  /** Those of the cells, in their order. */
  readonly fingerprints: readonly string[];
  readonly emit: EmitGrid;
  readonly signal?: AbortSignal;
}

interface Failure {
  readonly cell: Cell;
  readonly error: PluralError;
}

/**
 * The records of all cells, run one after the other. A cell that fails is told of and keeps no other from running.
 *
 * Errors: INTERRUPTED when `signal` fires; else, after the last cell, the first failure with its cell and their number named.
 */
export async function runCells(grid: GridCells): Promise<RunRecord[]> {
  const runs: RunRecord[] = [];
  const failures: Failure[] = [];
  for (const [i, cell] of grid.cells.entries()) {
    try {
      runs.push(await runCell(grid, i));
    } catch (thrown) {
      const error = asPluralError(thrown);
      if (error.code === 'INTERRUPTED') throw interrupted(grid, runs.length, failures.length, error);
      failures.push({ cell, error });
      grid.emit(failedEvent(grid, i, error));
    }
  }
  if (failures.length > 0) throw failed(grid, failures);
  return runs;
}

async function runCell(grid: GridCells, index: number): Promise<RunRecord> {
  const { emit, signal } = grid;
  if (signal?.aborted === true) throw new PluralError('INTERRUPTED', 'the grid was stopped');
  const cell = grid.cells[index]!;
  const names = namesOf(grid, index);
  const { folder } = names;
  const finished = await finishedRecord(folder, cell, grid.fingerprints[index]!);
  clearUnbegun(folder);
  const resume = isRun(folder);
  emit({ type: 'cell', ...names, state: finished !== null ? 'finished' : resume ? 'resumed' : 'new' });
  if (finished !== null) return finished;
  const run = { folder, resume, emit, ...(signal === undefined ? {} : { signal }) };
  return (await runExperiment(cell.config, run)).record;
}

function namesOf({ folder, cells }: GridCells, index: number): CellNames {
  const cell = cells[index]!;
  return {
    number: index + 1,
    cells: cells.length,
    folder: join(folder, cellFolder(cell)),
    setting: cell.setting.label,
    seed: cell.seed,
  };
}

function failedEvent(grid: GridCells, index: number, { code, message, hint }: PluralError): GridEvent {
  return { type: 'cell-failed', ...namesOf(grid, index), code, message, hint: hint ?? null };
}

function failed({ folder, cells }: GridCells, failures: readonly Failure[]): PluralError {
  const { cell, error } = failures[0]!;
  const which = failures.length === 1 ? '' : 'the first is ';
  const again = `The other runs are kept; what failed is tried again by: pluralllm run ${folder} --resume`;
  return new PluralError(
    error.code,
    `${failures.length} of ${cells.length} runs failed: ${which}${cellName(cell)}: ${error.message}`,
    {
      hint: error.hint === undefined ? again : `${error.hint} ${again}`,
      // Of a defect its own stack is shown, not that of the error made of it.
      cause: error.cause ?? error,
    },
  );
}

function interrupted(
  { folder, cells }: GridCells,
  done: number,
  failures: number,
  cause: unknown,
): PluralError {
  const without = failures === 0 ? '' : `, ${failures} failed`;
  return new PluralError(
    'INTERRUPTED',
    `the grid in ${folder} was stopped; ${done} of ${cells.length} runs are done${without}, what was finished is kept`,
    {
      hint: `Go on with: pluralllm run ${folder} --resume`,
      cause,
    },
  );
}
