import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { s3Blobs } from '../../../src/server/blobs/s3.ts';
import type { S3Options } from '../../../src/server/blobs/s3-config.ts';
import { blobStoreConformance } from '../../conformance/blobs.ts';
import { type S3Fault, startS3 } from '../../support/s3.ts';

const s3 = await startS3();
afterAll(() => s3.close());

const open = (changes: Partial<S3Options> = {}) => s3Blobs({ ...s3.options, ...changes });

blobStoreConformance({ name: 's3', open });

const KEPT = { durable: true };
const CONTENT = Buffer.from('content');
const unavailable = expect.objectContaining({ code: 'STORE_UNAVAILABLE', cause: expect.any(Error) });
const times = (count: number, fault: S3Fault) => Array.from({ length: count }, () => fault);

describe('blobs in a bucket', () => {
  afterEach(() => {
    s3.faults.length = 0;
  });

  test('lie under the prefix, or at the top where there is none', async () => {
    for (const [prefix, place] of [
      ['deep/er', 'deep/er/a/b'],
      ['', 'a/b'],
    ] as const) {
      const blobs = await open({ prefix });
      await blobs.write('a/b', CONTENT, KEPT);
      expect(s3.objects.get(place)).toEqual(CONTENT);
      await blobs.delete(['a/b']);
      expect(s3.objects.has(place)).toBe(false);
    }
  });

  test.each<S3Fault>(['SlowDown', 'reset'])(
    'a request that meets "%s" twice is made again',
    async (fault) => {
      const blobs = await open();
      s3.faults.push(...times(2, fault));
      await blobs.write('again/a', CONTENT, KEPT);
      s3.faults.push(...times(2, fault));
      expect(await blobs.read('again/a')).toEqual(CONTENT);
      s3.faults.push(...times(2, fault));
      await blobs.delete(['again/a']);
      expect(await blobs.read('again/a')).toBeNull();
    },
  );

  test('a server that answers a range with the whole', async () => {
    const blobs = await open();
    await blobs.write('a/whole', CONTENT, KEPT);
    s3.faults.push('whole');
    expect(await blobs.readRange('a/whole', 2, 3)).toEqual(CONTENT.subarray(2, 5));
  });

  test('an answer that is cut off twice is asked for again', async () => {
    const blobs = await open();
    await blobs.write('again/b', CONTENT, KEPT);
    s3.faults.push('cut', 'cut');
    expect(await blobs.read('again/b')).toEqual(CONTENT);
  });

  test.each<S3Fault>(['SlowDown', 'reset', 'cut'])(
    '"%s" without end is STORE_UNAVAILABLE after a few requests',
    async (fault) => {
      const blobs = await open();
      await blobs.write('without/end', CONTENT, KEPT);
      s3.faults.push(...times(100, fault));
      const before = s3.requests.length;
      await expect(blobs.read('without/end')).rejects.toEqual(unavailable);
      expect(s3.requests.length - before).toBeLessThanOrEqual(3);
      if (fault === 'cut') return;
      await expect(blobs.write('without/end', CONTENT, KEPT)).rejects.toEqual(unavailable);
      await expect(blobs.delete(['without/end'])).rejects.toEqual(unavailable);
      expect(s3.requests.length - before).toBeLessThanOrEqual(9);
    },
  );

  test.each([
    ['no server there', { endpoint: 'http://127.0.0.1:9' }, 'ECONNREFUSED'],
    ['no such bucket', { bucket: 'another' }, 'NoSuchBucket'],
    ['an unknown key', { accessKeyId: 'unknown' }, 'InvalidAccessKeyId'],
  ])('%s is STORE_UNAVAILABLE when it is opened', async (_, changes, reason) => {
    const refused = { code: 'STORE_UNAVAILABLE', message: expect.stringContaining(reason) };
    await expect(open(changes)).rejects.toMatchObject(refused);
  });

  test('the credentials come from the environment where none are given', async () => {
    const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = process.env;
    process.env['AWS_ACCESS_KEY_ID'] = s3.options.accessKeyId;
    process.env['AWS_SECRET_ACCESS_KEY'] = s3.options.secretAccessKey;
    try {
      const blobs = await open({ accessKeyId: undefined, secretAccessKey: undefined });
      expect(await blobs.read('none')).toBeNull();
    } finally {
      restore('AWS_ACCESS_KEY_ID', id);
      restore('AWS_SECRET_ACCESS_KEY', secret);
    }
  });
});

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}
