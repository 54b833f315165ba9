import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { diskBlobs } from '../../../src/server/blobs/disk.ts';
import { blobStoreConformance } from '../../conformance/blobs.ts';
import { ROOT, temporaryFolder } from '../../support/cli.ts';

const shared = temporaryFolder();
blobStoreConformance({ name: 'disk', open: () => diskBlobs(join(shared, 'new', 'blobs')) });

const KEPT = { durable: true };
const files = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());

describe('blobs on disk', () => {
  test('only their owner may read them, and where they lie', async () => {
    const folder = join(temporaryFolder(), 'blobs');
    const blobs = await diskBlobs(folder);
    await blobs.write('a/b/c', Buffer.from('x'), KEPT);
    await blobs.write('a/b/d', Buffer.from('x'), { durable: false });
    const mode = (path: string) => (statSync(join(folder, path)).mode & 0o777).toString(8);
    expect(['.', 'a', 'a/b'].map(mode)).toEqual(['700', '700', '700']);
    expect(['a/b/c', 'a/b/d'].map(mode)).toEqual(['600', '600']);
  });

  test('what a dead process left unfinished is gone after opening, what it finished is there', async () => {
    const folder = temporaryFolder();
    await (await diskBlobs(folder)).write('a/b', Buffer.from('whole'), KEPT);
    mkdirSync(join(folder, '.unfinished'), { recursive: true });
    const [left, underWay] = ['left', 'under-way'].map((name) => join(folder, '.unfinished', name));
    writeFileSync(left!, 'ha');
    writeFileSync(underWay!, 'ha');
    const hoursAgo = Date.now() / 1000 - 7200;
    utimesSync(left!, hoursAgo, hoursAgo);
    const blobs = await diskBlobs(folder);
    // A replica that shares the folder may be writing the other.
    expect(
      files(folder)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['b', 'under-way']);
    await blobs.write('a/c', Buffer.from('more'), KEPT);
    expect(readFileSync(join(folder, 'a/c'), 'utf8')).toBe('more');
  });

  test('several may share a folder: nothing of one is taken for what another writes', async () => {
    const folder = temporaryFolder();
    const stores = await Promise.all([1, 2, 3].map(() => diskBlobs(folder)));
    const keys = Array.from({ length: 60 }, (_, index) => `a/${index % 20}/${index}`);
    const writing = keys.map((key, index) => stores[index % 3]!.write(key, Buffer.from(key), KEPT));
    const opening = diskBlobs(folder);
    await Promise.all(writing);
    await opening;
    for (const [index, key] of keys.entries()) {
      expect(String(await stores[(index + 1) % 3]!.read(key))).toBe(key);
    }
    await Promise.all(stores.map((store) => store.delete(keys)));
    expect(readdirSync(folder)).toEqual(['.unfinished']);
  });

  test('folders go with their last blob', async () => {
    const folder = temporaryFolder();
    const blobs = await diskBlobs(folder);
    await blobs.write('a/b/c', Buffer.from('x'), KEPT);
    await blobs.write('a/d', Buffer.from('x'), KEPT);
    await blobs.delete(['a/b/c']);
    expect(readdirSync(join(folder, 'a'))).toEqual(['d']);
    await blobs.delete(['a/d']);
    expect(readdirSync(folder)).toEqual(['.unfinished']);
  });

  test('a key where there is a folder, or under a blob, is a blob that is not there and cannot be', async () => {
    const folder = temporaryFolder();
    const blobs = await diskBlobs(folder);
    await blobs.write('a/b', Buffer.from('x'), KEPT);
    for (const key of ['a', 'a/b/c']) {
      expect(await blobs.read(key)).toBeNull();
      await blobs.delete([key]);
      const refused = expect.objectContaining({
        code: 'WRITE_FAILED',
        message: expect.stringContaining(key),
      });
      await expect(blobs.write(key, Buffer.from('y'), KEPT)).rejects.toEqual(refused);
    }
    expect(files(folder).map(({ name }) => name)).toEqual(['b']);
  });

  test('a folder that cannot be made is WRITE_FAILED', async () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    await expect(diskBlobs(join(file, 'blobs'))).rejects.toMatchObject({ code: 'WRITE_FAILED' });
  });

  test('without space it is DISK_FULL, the old content stays and nothing else', async () => {
    const folder = temporaryFolder();
    await (await diskBlobs(folder)).write('a/b', Buffer.from('old'), KEPT);
    const module = pathToFileURL(join(ROOT, 'src/server/blobs/disk.ts')).href;
    const script = `
      const { diskBlobs } = await import(${JSON.stringify(module)});
      const blobs = await diskBlobs(${JSON.stringify(folder)});
      await blobs.write('a/b', Buffer.alloc(1_000_000), { durable: true }).catch(({ code }) => console.log(code));`;
    const node = [process.execPath, '--import', 'tsx', '--input-type=module', '--eval', script];
    const limited = ['-c', 'trap "" XFSZ; ulimit -f 64; exec "$0" "$@"', ...node];
    expect(execFileSync('bash', limited, { cwd: ROOT, encoding: 'utf8' })).toBe('DISK_FULL\n');
    expect(readFileSync(join(folder, 'a/b'), 'utf8')).toBe('old');
    expect(files(folder).map(({ name }) => name)).toEqual(['b']);
  });
});
