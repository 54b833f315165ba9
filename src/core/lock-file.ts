import {
  closeSync,
  fchmodSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { z } from 'zod';
import { PluralError } from './errors.ts';
import { jsonOrNull, writeError } from './files.ts';

/** Who holds a lock. */
const holderSchema = z.strictObject({
  pid: z.int().min(1),
  /** When the process began, in the system's own count; null where the system does not tell. */
  began: z.string().nullable(),
});
type Holder = z.output<typeof holderSchema>;

/**
 * Tells a process from a later one of the same number: after a restart of a container, numbers come again. Null where
 * the system does not tell; "ended" for one that only waits for its parent to take note.
 */
function beginningOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces; the state is field 3 and the start time field 22.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? 'ended' : (fields[19] ?? null);
  } catch {
    return null;
  }
}

function isAlive({ pid, began }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    // A process of somebody else is alive too.
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM')) return false;
  }
  const beginning = beginningOf(pid);
  return began === null || beginning === null || beginning === began;
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
}

/** The holder that a lock names; null where there is none, or where it is not readable as one. */
function holderOf(path: string): Holder | null {
  try {
    const parsed = holderSchema.safeParse(jsonOrNull(readFileSync(path, 'utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

function writeOwn(path: string): void {
  rmSync(path, { force: true });
  const file = openSync(path, 'wx', 0o600);
  try {
    fchmodSync(file, 0o600);
    const holder: Holder = { pid: process.pid, began: beginningOf(process.pid) };
    writeSync(file, JSON.stringify(holder));
  } finally {
    closeSync(file);
  }
}

/** False where the lock is there. A link is made with its content, so that nobody sees an empty lock. */
function tryLink(own: string, path: string): boolean {
  try {
    linkSync(own, path);
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === 'EEXIST') return false;
    throw writeError(path, thrown);
  }
}

/** Puts a dead holder's lock away; one that somebody else has taken over meanwhile is put back. */
function clear(path: string, aside: string): void {
  try {
    renameSync(path, aside);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return;
    throw writeError(path, thrown);
  }
  const holder = holderOf(aside);
  if (holder !== null && isAlive(holder)) tryLink(aside, path);
  rmSync(aside, { force: true });
}

function inUse(what: string, pid: number): PluralError {
  return new PluralError('FOLDER_IN_USE', `${what} is in use by process ${pid}`, {
    hint: 'Wait for it or stop it. A lock that a killed process left is taken over by itself.',
  });
}

/** Makes the lock's content of its own first: a file that is there is whole. */
function attempt(own: string, path: string, what: string): void {
  while (!tryLink(own, path)) {
    const holder = holderOf(path);
    if (holder !== null && isAlive(holder)) throw inUse(what, holder.pid);
    clear(path, `${own}.aside`);
  }
}

let tries = 0;

/**
 * Takes a lock file for this process; the answer gives it back. What a process left that was killed is taken over.
 * Errors: FOLDER_IN_USE with the number of the process that holds it, WRITE_FAILED.
 */
export function takeLock(path: string, what: string): () => void {
  const own = `${path}.${process.pid}.${tries++}`;
  try {
    writeOwn(own);
    attempt(own, path, what);
  } catch (thrown) {
    throw thrown instanceof PluralError ? thrown : writeError(path, thrown);
  } finally {
    rmSync(own, { force: true });
  }
  return () => rmSync(path, { force: true });
}
