import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  makeFolder,
  readFileBytes,
  readFileText,
  writeError,
  writeFileAtomic,
} from '../../src/core/files.ts';

/** Which system call fails next, with which code; `after` calls of it succeed first. */
let failure: { call: string; code: string; after: number } | undefined;

function failing<Arguments extends unknown[], Result>(call: string, real: (...given: Arguments) => Result) {
  return (...given: Arguments): Result => {
    if (failure?.call === call && failure.after-- === 0) {
      throw Object.assign(new Error(failure.code), { code: failure.code });
    }
    return real(...given);
  };
}

vi.mock('node:fs', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs')>();
  /** At most 4 bytes at a time, as a nearly full disk does it. */
  const writeSync = (file: number, bytes: Uint8Array, offset = 0) =>
    real.writeSync(file, bytes, offset, Math.min(4, bytes.byteLength - offset));
  return {
    ...real,
    openSync: failing('open', real.openSync),
    writeSync: failing('write', writeSync),
    fsyncSync: failing('fsync', real.fsyncSync),
    renameSync: failing('rename', real.renameSync),
  };
});

const folder = fs.mkdtempSync(join(tmpdir(), 'pluralllm-files-'));
const path = join(folder, 'some', 'file.txt');
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  failure = undefined;
});

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (thrown) {
    return thrown;
  }
  return undefined;
}

describe('writeFileAtomic', () => {
  beforeEach(() => writeFileAtomic(path, 'the old content'));

  test('makes the folder, writes text as UTF-8 and bytes as they are, and replaces what was there', () => {
    expect(readFileText(path)).toBe('the old content');
    writeFileAtomic(path, 'né');
    expect([...readFileBytes(path)]).toEqual([0x6e, 0xc3, 0xa9]);
    writeFileAtomic(path, Uint8Array.of(0, 255, 10));
    expect([...readFileBytes(path)]).toEqual([0, 255, 10]);
    writeFileAtomic(path, '');
    expect(readFileBytes(path)).toHaveLength(0);
    expect(fs.readdirSync(dirname(path))).toEqual(['file.txt']);
  });

  test.each([
    ['open', 'EACCES', 0, 'WRITE_FAILED'],
    ['open', 'EROFS', 0, 'WRITE_FAILED'],
    ['write', 'ENOSPC', 0, 'DISK_FULL'],
    ['write', 'ENOSPC', 3, 'DISK_FULL'],
    ['write', 'EDQUOT', 2, 'DISK_FULL'],
    ['write', 'EFBIG', 1, 'DISK_FULL'],
    ['write', 'EIO', 1, 'WRITE_FAILED'],
    ['fsync', 'ENOSPC', 0, 'DISK_FULL'],
    ['rename', 'EPERM', 0, 'WRITE_FAILED'],
  ])(
    '%s fails with %s after %i calls: %s, the old content stays, no temporary file',
    (call, code, after, expected) => {
      failure = { call, code, after };
      expect(thrownBy(() => writeFileAtomic(path, 'the new and longer content'))).toMatchObject({
        code: expected,
        message: expect.stringContaining(path),
        hint: expect.any(String),
        cause: expect.objectContaining({ code }),
      });
      expect(readFileText(path)).toBe('the old content');
      expect(fs.readdirSync(dirname(path))).toEqual(['file.txt']);
    },
  );

  test('a process that is killed in the middle of a write leaves the old content', () => {
    const module = new URL('../../src/core/files.ts', import.meta.url).href;
    const script = `
      import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      const { writeSync } = fs;
      fs.writeSync = (file, bytes) => {
        writeSync(file, bytes, 0, 5);
        process.kill(process.pid, 'SIGKILL');
      };
      syncBuiltinESMExports();
      const { writeFileAtomic } = await import(${JSON.stringify(module)});
      writeFileAtomic(${JSON.stringify(path)}, 'the new and longer content');`;
    const child = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script]);
    expect(child.signal).toBe('SIGKILL');
    expect(readFileText(path)).toBe('the old content');
    const left = fs.readdirSync(dirname(path)).filter((name) => name !== 'file.txt');
    expect(left).toEqual([`file.txt.${child.pid}.tmp`]);
    expect(fs.statSync(join(dirname(path), left[0]!)).size).toBe(5);
    fs.rmSync(join(dirname(path), left[0]!));
  });

  test('a folder in the place of the file is refused and stays', () => {
    expect(thrownBy(() => writeFileAtomic(dirname(path), 'x'))).toMatchObject({ code: 'WRITE_FAILED' });
    expect(readFileText(path)).toBe('the old content');
  });
});

describe('other failures', () => {
  test('a file where a folder should be', () => {
    const file = join(folder, 'plain');
    writeFileAtomic(file, 'x');
    expect(thrownBy(() => makeFolder(join(file, 'sub')))).toMatchObject({ code: 'WRITE_FAILED' });
    expect(thrownBy(() => writeFileAtomic(join(file, 'sub', 'a'), 'x'))).toMatchObject({
      code: 'WRITE_FAILED',
    });
  });

  test('reading says whether the file is missing or cannot be read', () => {
    const missing = join(folder, 'missing');
    expect(thrownBy(() => readFileBytes(missing))).toMatchObject({
      code: 'FILE_NOT_FOUND',
      message: expect.stringContaining(missing),
    });
    expect(thrownBy(() => readFileText(folder))).toMatchObject({
      code: 'FILE_UNREADABLE',
      message: expect.stringContaining('EISDIR'),
    });
  });

  test('what is thrown without a system code is reported in its own words', () => {
    expect(writeError('a.txt', 'odd')).toMatchObject({
      code: 'WRITE_FAILED',
      message: 'cannot write a.txt (odd)',
    });
  });
});
