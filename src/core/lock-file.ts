import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { PluralError } from './errors.ts';
import { writeError } from './files.ts';

/** Whether a process of this id runs; one that belongs to somebody else runs too. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM';
  }
}

/** The process that holds a lock file; null where it is gone, or never wrote its number. */
function holderOf(path: string): number | null {
  try {
    const pid = Number(readFileSync(path, 'utf8').trim());
    return Number.isInteger(pid) && pid > 0 && pid !== process.pid && isAlive(pid) ? pid : null;
  } catch {
    return null;
  }
}

function create(path: string): boolean {
  try {
    const file = openSync(path, 'wx', 0o600);
    writeSync(file, `${process.pid}\n`);
    closeSync(file);
    return true;
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST') return false;
    throw writeError(path, thrown);
  }
}

/**
 * Takes a lock file for this process; the answer gives it back. What a process left that was killed is taken over.
 * Errors: FOLDER_IN_USE with the number of the process that holds it, WRITE_FAILED.
 */
export function takeLock(path: string, what: string): () => void {
  if (!create(path)) {
    const holder = holderOf(path);
    if (holder !== null) throw inUse(what, holder);
    rmSync(path, { force: true });
    if (!create(path)) throw inUse(what, holderOf(path));
  }
  return () => rmSync(path, { force: true });
}

function inUse(what: string, holder: number | null): PluralError {
  const by = holder === null ? 'another process' : `process ${holder}`;
  return new PluralError('FOLDER_IN_USE', `${what} is in use by ${by}`, {
    hint: 'Wait for it or stop it. A lock that a killed process left is taken over by itself.',
  });
}
