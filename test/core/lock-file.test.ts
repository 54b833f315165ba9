import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { takeLock } from '../../src/core/lock-file.ts';
import { temporaryFolder } from '../support/cli.ts';

describe('a lock file', () => {
  const folder = temporaryFolder();

  test('names its process, keeps a second one of the same process out, and goes when it is given back', () => {
    const path = join(folder, 'a.lock');
    const release = takeLock(path, 'the folder');
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ pid: process.pid });
    expect(() => takeLock(path, 'the folder')).toThrow(expect.objectContaining({ code: 'FOLDER_IN_USE' }));
    release();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('of a living process is FOLDER_IN_USE, names it, and stays', () => {
    const path = join(folder, 'b.lock');
    // The process that runs the tests of this file has a parent that lives.
    const holder = JSON.stringify({ pid: process.ppid, began: null });
    writeFileSync(path, holder);
    expect(() => takeLock(path, 'the folder')).toThrow(
      expect.objectContaining({ code: 'FOLDER_IN_USE', message: expect.stringContaining(`${process.ppid}`) }),
    );
    expect(readFileSync(path, 'utf8')).toBe(holder);
  });

  const gone = () => spawnSync(process.execPath, ['-e', '']).pid;
  const LEFT: readonly (readonly [what: string, content: () => string])[] = [
    ['a process that is gone', () => JSON.stringify({ pid: gone(), began: null })],
    ['nothing', () => ''],
    ['something else', () => 'not a lock'],
  ];
  test.each(LEFT)('of %s is taken over', (_, content) => {
    const path = join(folder, 'c.lock');
    writeFileSync(path, content());
    takeLock(path, 'the folder')();
    expect(existsSync(path)).toBe(false);
  });

  const tells = existsSync('/proc/self/stat');
  const why = tells ? '' : ' (SKIPPED: this system does not tell when a process began)';
  test.skipIf(!tells)(`of a process whose number came again is taken over${why}`, () => {
    const path = join(folder, 'c.lock');
    writeFileSync(path, JSON.stringify({ pid: process.ppid, began: '1' }));
    takeLock(path, 'the folder')();
    expect(existsSync(path)).toBe(false);
  });

  test('of a dead process is taken over by one of many', async () => {
    const path = join(folder, 'd.lock');
    writeFileSync(path, JSON.stringify({ pid: gone(), began: null }));
    const script = `import { takeLock } from ${JSON.stringify(new URL('../../src/core/lock-file.ts', import.meta.url).href)};
      try { takeLock(${JSON.stringify(path)}, 'it'); process.stdout.write('taken'); } catch (e) { process.stdout.write(e.code); }
      setTimeout(() => {}, 8000);`;
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    );
    const said = await Promise.all(
      children.map((child) => once(child.stdout, 'data').then(([text]) => String(text))),
    );
    for (const child of children) child.kill('SIGKILL');
    expect(said.sort()).toEqual(['FOLDER_IN_USE', 'FOLDER_IN_USE', 'FOLDER_IN_USE', 'taken']);
  });

  test('in a folder that is not there is WRITE_FAILED', () => {
    expect(() => takeLock(join(folder, 'missing', 'e.lock'), 'the folder')).toThrow(
      expect.objectContaining({ code: 'WRITE_FAILED' }),
    );
  });
});
