import { closeSync, openSync, readSync } from 'node:fs';
import { isFile, unreadable } from '../../core/files.ts';

/**
 * The first bytes of a file as Latin-1, to compare with a format's magic number; '' where there is no file.
 * Errors: FILE_UNREADABLE.
 */
export function firstBytes(path: string, count: number): string {
  if (!isFile(path)) return '';
  const buffer = Buffer.alloc(count);
  try {
    const file = openSync(path, 'r');
    try {
      return buffer.toString('latin1', 0, readSync(file, buffer, 0, count, 0));
    } finally {
      closeSync(file);
    }
  } catch (thrown) {
    throw unreadable(path, thrown);
  }
}
