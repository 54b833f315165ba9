import { closeSync, openSync, readSync, statSync } from 'node:fs';

/** Whether the path is an existing regular file. */
export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** The first bytes of a file as Latin-1, to compare with a format's magic number; '' where there is no file. */
export function firstBytes(path: string, count: number): string {
  if (!isFile(path)) return '';
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(count);
    return buffer.toString('latin1', 0, readSync(file, buffer, 0, count, 0));
  } finally {
    closeSync(file);
  }
}
