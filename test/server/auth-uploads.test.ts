import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import type { BlobStore } from '../../src/server/blobs/blob-store.ts';
import { diskBlobs } from '../../src/server/blobs/disk.ts';
import { mostUploadBytes } from '../../src/server/plan.ts';
import { MOST_SUBMISSION_BYTES } from '../../src/wire/submission.ts';
import { temporaryFolder } from '../support/cli.ts';
import { refusalIn, type TestGroup, TestRun } from '../support/signed-inject.ts';
import { openTestAggregator, type TestAggregator } from '../support/test-aggregator.ts';

/** What a group can do to the disk and the memory of an aggregator, and to its own round, with uploads. */

let folder: string;
let aggregator: TestAggregator;
let run: TestRun;
let ann: TestGroup;
let ben: TestGroup;
/** Called before a blob is read or written. */
let before: (action: 'read' | 'write', key: string) => Promise<void>;
/** Called when it was. */
let after: (action: 'read' | 'write', key: string) => Promise<void>;
/** Files of the tests before. */
let known: ReadonlySet<string>;

function watched(blobs: BlobStore): BlobStore {
  return {
    write: async (key, bytes, options) => {
      await before('write', key);
      await blobs.write(key, bytes, options);
      await after('write', key);
    },
    read: async (key) => {
      await before('read', key);
      const bytes = await blobs.read(key);
      await after('read', key);
      return bytes;
    },
    readRange: (key, offset, length) => blobs.readRange(key, offset, length),
    delete: (keys) => blobs.delete(keys),
    close: () => blobs.close(),
  };
}

beforeAll(async () => {
  before = after = async () => undefined;
  folder = temporaryFolder();
  const blobs = watched(await diskBlobs(folder));
  aggregator = await openTestAggregator({ blobs, limits: { chunkBytes: 16_384 } });
});
afterAll(() => aggregator.close());

beforeEach(async () => {
  before = after = async () => undefined;
  run = await TestRun.create(aggregator);
  ann = await run.join('ann');
  ben = await run.join('ben');
  known = new Set(files());
});

function files(): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name, parentPath }) => join(parentPath, name));
}

/** Files that this test made and that are there still. */
function filesLeft(): string[] {
  return files().filter((file) => !known.has(file));
}

function ofRun() {
  return aggregator.aggregator.db.selectFrom('uploads').selectAll().where('run', '=', run.run);
}

async function openUploads(): Promise<number> {
  return (await ofRun().execute()).length;
}

describe('a group that fills the disk', () => {
  test('has two uploads at most, also when it begins many at once', async () => {
    const begins = Array.from({ length: 30 }, (_, index) => run.begin(ann, sha256(String(index)), 1000));
    for (const { statusCode } of await Promise.all(begins)) expect(statusCode).toBe(200);
    expect(await openUploads()).toBe(2);
  });

  test('leaves no bytes of those that were given up, also where a chunk comes while they are', async () => {
    const bytes = Buffer.alloc(1000, 1);
    await run.begin(ann, sha256(bytes), 1000);
    await run.chunk(ann, sha256(bytes), 0, bytes.subarray(0, 500));
    before = async (action, key) => {
      if (action !== 'write' || !key.startsWith('parts/')) return;
      before = async () => undefined;
      for (const other of ['one', 'two']) await run.begin(ann, sha256(other), 1000);
    };
    const late = await run.chunk(ann, sha256(bytes), 500, bytes.subarray(500));
    expect(refusalIn(late)).toEqual({ status: 409, code: 'UPLOAD_INCOMPLETE' });
    expect(filesLeft()).toEqual([]);
  });

  test('leaves no bytes of one that is given up while it is put together', async () => {
    const bytes = Buffer.alloc(1000, 2);
    await run.begin(ann, sha256(bytes), 1000);
    before = async (action, key) => {
      if (action !== 'write' || !key.startsWith('updates/')) return;
      before = async () => undefined;
      for (const other of ['one', 'two']) await run.begin(ann, sha256(other), 1000);
    };
    const last = await run.chunk(ann, sha256(bytes), 0, bytes);
    expect(refusalIn(last)).toEqual({ status: 409, code: 'UPLOAD_INCOMPLETE' });
    expect(filesLeft()).toEqual([]);
  });

  test('leaves no bytes of a chunk that comes twice at once, the second when the upload is complete', async () => {
    const bytes = Buffer.alloc(1000, 3);
    await run.begin(ann, sha256(bytes), 1000);
    before = async (action, key) => {
      if (action !== 'write' || !key.startsWith('parts/')) return;
      before = async () => undefined;
      expect((await run.chunk(ann, sha256(bytes), 0, bytes)).json()).toMatchObject({ complete: true });
    };
    expect((await run.chunk(ann, sha256(bytes), 0, bytes)).json()).toMatchObject({ complete: true });
    expect(filesLeft()).toHaveLength(1);
  });

  test('cannot send an upload in more chunks than are of use', async () => {
    const bytes = Buffer.alloc(2000, 4);
    await run.begin(ann, sha256(bytes), 2000);
    const offsets = JSON.stringify(Array.from({ length: 1000 }, (_, index) => index));
    const { db } = aggregator.aggregator;
    await db.updateTable('uploads').set({ received: 1000, offsets }).where('run', '=', run.run).execute();
    const byte = (offset: number) =>
      run.chunk(ann, sha256(bytes), offset, bytes.subarray(offset, offset + 1));
    expect((await byte(1000)).statusCode).toBe(200);
    expect(refusalIn(await byte(1001))).toEqual({ status: 409, code: 'UPLOAD_RANGE' });
    expect(await openUploads()).toBe(0);
    expect(filesLeft()).toEqual([]);
    await run.upload(ann, { bytes, digest: sha256(bytes) });
    expect(await openUploads()).toBe(1);
  });

  test('never has more than a gigabyte of one upload put together, whatever the run says', () => {
    const most = (size: number, replyBytes: number) =>
      mostUploadBytes({ layout: { size }, protection: { replyBytes } });
    expect(most(1, 0)).toBe(65_536 + 16);
    expect(most(1, 100_000)).toBe(65_536 + 100_000);
    expect(most(2 ** 28, 0)).toBe(MOST_SUBMISSION_BYTES);
    expect(most(1, 2 ** 40)).toBe(MOST_SUBMISSION_BYTES);
  });
});

describe('the memory of an aggregator', () => {
  test('holds three uploads at once, however many are completed', async () => {
    const groups = [ann, ben];
    for (let index = 0; index < 10; index++) groups.push(await run.join(`g${index}`));
    let underWay = 0;
    let most = 0;
    before = async (action, key) => {
      if (action === 'read' && key.startsWith('parts/')) most = Math.max(most, ++underWay);
    };
    after = async (action, key) => {
      if (action === 'write' && key.startsWith('updates/')) underWay--;
    };
    const uploads = groups.map((group) => {
      const bytes = Buffer.from(group.group);
      return run.upload(group, { bytes, digest: sha256(bytes) });
    });
    await Promise.all(uploads);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(3);
  });
});

describe('a round', () => {
  test('never counts an update whose bytes were given up while it was checked', async () => {
    const submission = await run.submission(ann);
    await run.upload(ann, submission);
    after = async (action, key) => {
      if (action !== 'read' || !key.startsWith('updates/')) return;
      after = async () => undefined;
      for (const other of ['one', 'two']) await run.begin(ann, sha256(other), 1000);
    };
    const { round, step, digest } = submission;
    const answer = await run.submit(ann, { round, step, digest });
    expect(refusalIn(answer)).toEqual({ status: 409, code: 'UPLOAD_INCOMPLETE' });
    expect(await run.status()).toMatchObject({ phase: 'collecting', replied: 0 });
    expect(filesLeft()).toEqual([]);
    await run.takePart(ann);
    await run.takePart(ben);
    await run.folded(1);
  });
});
