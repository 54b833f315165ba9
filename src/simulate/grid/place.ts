import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { PluralError } from '../../core/errors.ts';
import { listFolder, makeFolder } from '../../core/files.ts';
import { takeLock } from '../../core/lock-file.ts';
import { newestNumbered, nextNumbered } from '../numbered-folders.ts';
import { checkFree, GRID_FILE, isGrid, isRun, type RunPlace, removeLeftovers } from '../run-folder.ts';
import { type GridDefinition, growDefinition, writeDefinition } from './definition.ts';
import type { Grid } from './grid.ts';

/**
 * The folder that a grid will use; writes nothing. A new grid never touches an old one, nor a run.
 * Errors: RUN_EXISTS, RUN_NOT_FOUND.
 */
export function chooseGridFolder({ name, output }: Grid, place: RunPlace): string {
  const asked = place.folder ?? output;
  const first = asked ?? join('runs', `${name}-grid`);
  if (!place.resume) {
    if (asked === null) return nextNumbered(first, GRID_FILE);
    checkFree(asked);
    return asked;
  }
  const folder = asked ?? newestNumbered(first, GRID_FILE) ?? first;
  if (isGrid(folder)) return folder;
  throw new PluralError('RUN_NOT_FOUND', `${folder} holds no grid of runs: it has no ${GRID_FILE}`, {
    hint: 'Give the folder that "pluralllm run" printed, or start the grid without --resume.',
  });
}

/**
 * Takes the folder for this process and sees to it that the definition in it is the grid's, with the seeds that are
 * added to it; the answer gives it back.
 * Errors: FOLDER_IN_USE, CHECKPOINT_MISMATCH, RUN_EXISTS, WRITE_FAILED.
 */
export function openGridFolder(folder: string, definition: GridDefinition, resume: boolean): () => void {
  makeFolder(folder);
  const unlock = takeLock(join(folder, 'grid.lock'), `the grid in ${folder}`);
  try {
    if (resume) {
      growDefinition(folder, definition);
      removeLeftovers(folder);
    } else {
      // Somebody else may have been quicker since the folder was chosen.
      checkFree(folder);
      writeDefinition(folder, definition);
    }
  } catch (thrown) {
    unlock();
    throw thrown;
  }
  return unlock;
}

/** Clears a cell's folder that a process made and was killed before there was a run in it. */
export function clearUnbegun(folder: string): void {
  if (isRun(folder)) return;
  const checkpoints = join(folder, 'checkpoints');
  if (listFolder(checkpoints).length === 0) rmSync(checkpoints, { recursive: true, force: true });
  removeLeftovers(folder);
}
