import { sha256 } from '../../core/digest.ts';

/**
 * The same id for the same fold, in the form of a UUID of version 8. The id is the key of the table, so that a fold
 * is there once, in whatever state. The queue's own policies for single jobs do not fit: they let a job in that
 * waits beside one that is under way, and while it is the oldest, all the jobs behind it wait too.
 */
export function jobIdOf(run: string, round: number): string {
  const hex = sha256(JSON.stringify([run, round]));
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}
