import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { takeLock } from '../../src/core/lock-file.ts';
import { temporaryFolder } from '../support/cli.ts';

describe('a lock file', () => {
  const folder = temporaryFolder();

  test('holds the number of its process, and goes when it is given back', () => {
    const path = join(folder, 'a.lock');
    const release = takeLock(path, 'the folder');
    expect(readFileSync(path, 'utf8').trim()).toBe(String(process.pid));
    release();
    expect(existsSync(path)).toBe(false);
  });

  test('of a living process is FOLDER_IN_USE and names it', () => {
    const path = join(folder, 'b.lock');
    // The process that runs the tests of this file has a parent that lives.
    writeFileSync(path, `${process.ppid}\n`);
    expect(() => takeLock(path, 'the folder')).toThrow(
      expect.objectContaining({ code: 'FOLDER_IN_USE', message: expect.stringContaining(`${process.ppid}`) }),
    );
    expect(readFileSync(path, 'utf8')).toBe(`${process.ppid}\n`);
  });

  test.each([
    ['a process that is gone', () => String(spawnSync(process.execPath, ['-e', '']).pid)],
    ['a crash before the number was written', () => ''],
    ['something else', () => 'not a number'],
  ])('of %s is taken over', (_, content) => {
    const path = join(folder, 'c.lock');
    writeFileSync(path, content());
    takeLock(path, 'the folder')();
    expect(existsSync(path)).toBe(false);
  });

  test('in a folder that is not there is WRITE_FAILED', () => {
    expect(() => takeLock(join(folder, 'missing', 'd.lock'), 'the folder')).toThrow(
      expect.objectContaining({ code: 'WRITE_FAILED' }),
    );
  });
});
