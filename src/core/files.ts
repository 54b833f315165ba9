import {
  chmodSync,
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { PluralError } from './errors.ts';

function systemCode(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
}

/** The error of a failed write, in words that say which file and whether the disk is full. */
export function writeError(path: string, thrown: unknown): PluralError {
  const code = systemCode(thrown);
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return new PluralError('DISK_FULL', `no space left to write ${path}`, {
      hint: 'Free some space or choose another place. What was there before is untouched.',
      cause: thrown,
    });
  }
  return new PluralError('WRITE_FAILED', `cannot write ${path} (${code || String(thrown)})`, {
    hint: 'Check that the folder exists and may be written to.',
    cause: thrown,
  });
}

/** Makes a folder and its parents. `mode` is given to the folder itself, whatever the umask and also where it is there. */
export function makeFolder(path: string, mode?: number): void {
  try {
    mkdirSync(path, { recursive: true });
    if (mode !== undefined) chmodSync(path, mode);
  } catch (thrown) {
    throw writeError(path, thrown);
  }
}

/**
 * Writes a whole file or nothing: temporary name in the same folder, fsync, rename, fsync of the folder.
 * After a crash at any point the old content or the new content is there, never a part of either.
 * `mode` are the permissions it gets whatever the umask, before anything is in it.
 */
export function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  { mode }: { readonly mode?: number } = {},
): void {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : content;
  const temporary = `${path}.${process.pid}.tmp`;
  makeFolder(dirname(path));
  try {
    const file = openSync(temporary, 'w', mode);
    try {
      if (mode !== undefined) fchmodSync(file, mode);
      let written = 0;
      while (written < bytes.byteLength) written += writeSync(file, bytes, written);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (thrown) {
    rmSync(temporary, { force: true });
    throw writeError(path, thrown);
  }
}

/** Makes a rename durable. Windows cannot open a folder; there the rename itself has to do. */
function syncFolder(path: string): void {
  if (process.platform === 'win32') return;
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Reads a whole file; FILE_NOT_FOUND or FILE_UNREADABLE with the path where it cannot. */
export function readFileBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (thrown) {
    const code = systemCode(thrown);
    if (code === 'ENOENT') {
      throw new PluralError('FILE_NOT_FOUND', `there is no file ${path}`, {
        hint: 'Check the path; relative paths start at the folder you run the command in.',
        cause: thrown,
      });
    }
    throw new PluralError('FILE_UNREADABLE', `cannot read ${path} (${code || String(thrown)})`, {
      cause: thrown,
    });
  }
}

/** Reads a whole file as UTF-8 text. */
export function readFileText(path: string): string {
  return readFileBytes(path).toString('utf8');
}

/** The value of a JSON text; null where it is none, as a line that was cut off by a crash. */
export function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function kindOf(path: string): 'file' | 'folder' | 'other' | null {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return null;
    return stat.isFile() ? 'file' : stat.isDirectory() ? 'folder' : 'other';
  } catch (thrown) {
    throw unreadable(path, thrown);
  }
}

/** The error of a read that the system refused. */
export function unreadable(path: string, thrown: unknown): PluralError {
  return new PluralError('FILE_UNREADABLE', `cannot read ${path} (${systemCode(thrown) || String(thrown)})`, {
    hint: 'Check the path and who may read it.',
    cause: thrown,
  });
}

/** Whether there is a file of this name. FILE_UNREADABLE where the system will not say. */
export function isFile(path: string): boolean {
  return kindOf(path) === 'file';
}

/** Whether there is a folder of this name. FILE_UNREADABLE where the system will not say. */
export function isFolder(path: string): boolean {
  return kindOf(path) === 'folder';
}

/** Whether nobody but its owner may read or write a file. Windows has no such permissions: there every file is. */
export function isPrivate(path: string): boolean {
  if (process.platform === 'win32') return true;
  try {
    return (statSync(path).mode & 0o077) === 0;
  } catch (thrown) {
    throw unreadable(path, thrown);
  }
}

/** Names in a folder, in code-unit order; none where there is no such folder. */
export function listFolder(path: string): string[] {
  if (!isFolder(path)) return [];
  try {
    return readdirSync(path).sort();
  } catch (thrown) {
    throw unreadable(path, thrown);
  }
}

export { existsSync as fileExists };
