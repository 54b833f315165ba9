import { basename, dirname, join } from 'node:path';
import { fileExists, listFolder } from '../core/files.ts';

/** `runs/name`, `runs/name-2`, ... that hold the file `marker`, by number. */
function numbered(first: string, marker: string): { path: string; number: number }[] {
  const parent = dirname(first);
  const name = basename(first);
  const found = listFolder(parent).flatMap((entry) => {
    const suffix = entry === name ? '-1' : entry.startsWith(`${name}-`) ? entry.slice(name.length) : '';
    const path = join(parent, entry);
    const taken = /^-[1-9]\d*$/.test(suffix) && fileExists(join(path, marker));
    return taken ? [{ path, number: Number(suffix.slice(1)) }] : [];
  });
  return found.sort((a, b) => a.number - b.number);
}

/** The one of `first`, `first-2`, ... with the highest number that holds the file `marker`; null where none does. */
export function newestNumbered(first: string, marker: string): string | null {
  return numbered(first, marker).at(-1)?.path ?? null;
}

/** `first`, or with the number after the highest that holds the file `marker`. */
export function nextNumbered(first: string, marker: string): string {
  const last = numbered(first, marker).at(-1)?.number ?? 0;
  return last === 0 ? first : `${first}-${last + 1}`;
}
