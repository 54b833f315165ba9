import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { PluralError } from '../../src/core/errors.ts';
import type { BlobStore } from '../../src/server/blobs/blob-store.ts';
import { diskBlobs } from '../../src/server/blobs/disk.ts';
import { cleanUp } from '../../src/server/sweep.ts';
import { decodeSubmission } from '../../src/wire/submission.ts';
import { temporaryFolder } from '../support/cli.ts';
import { adminInject, type Call, refusalIn, type TestGroup, TestRun } from '../support/signed-inject.ts';
import {
  ADMIN_KEY,
  freshIdentity,
  openTestAggregator,
  type TestAggregator,
  tinyPlan,
} from '../support/test-aggregator.ts';

/** What answers give away, what browsers and proxies can be made to do, and what names can be made to break. */

let aggregator: TestAggregator;
let run: TestRun;
let ann: TestGroup;
let trouble: PluralError | null = null;

beforeAll(async () => {
  const disk = await diskBlobs(temporaryFolder());
  const blobs: BlobStore = {
    write: async (key, bytes, options) => {
      if (trouble !== null) throw trouble;
      await disk.write(key, bytes, options);
    },
    read: (key) => disk.read(key),
    readRange: (key, offset, length) => disk.readRange(key, offset, length),
    delete: (keys) => disk.delete(keys),
    close: () => disk.close(),
  };
  aggregator = await openTestAggregator({ blobs });
  run = await TestRun.create(aggregator);
  ann = await run.join('ann');
});
afterAll(() => aggregator.close());

describe('answers', () => {
  test('are kept by nobody on the way, and are never taken for something else', async () => {
    const answers = [
      await run.send(ann, { method: 'GET', path: run.path('/task') }),
      await run.send(ann, { method: 'GET', path: run.path('/definition') }),
      await run.send(ann, { method: 'GET', path: run.path('/models?after=-1') }),
      await run.send(ann, { method: 'GET', path: run.path('/models/0/parameters?offset=0&length=4') }),
      await run.send(ann, { method: 'HEAD', path: run.path('/task') }),
      await aggregator.app.inject('/v1/runs'),
      await aggregator.app.inject('/v1/nothing'),
      await aggregator.app.inject('/v1/runs/%zz'),
      await aggregator.app.inject(run.path('/task')),
      await adminInject(aggregator, { method: 'POST', path: `/v1/admin/runs/${run.run}/start` }),
    ];
    for (const { headers } of answers) {
      expect(headers['cache-control']).toBe('no-store');
      expect(headers['x-content-type-options']).toBe('nosniff');
    }
    const page = await aggregator.app.inject('/');
    expect(page.headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(page.headers['cache-control']).toBe('no-cache');
  });

  test('allow no page of another origin to call, with the admin key or without', async () => {
    const origin = { origin: 'https://evil.example' };
    const preflight = {
      ...origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization',
    };
    const admin = `/v1/admin/runs/${run.run}/start`;
    const answers = [
      await aggregator.app.inject({ method: 'OPTIONS', url: admin, headers: preflight }),
      await aggregator.app.inject({ method: 'GET', url: '/v1/runs', headers: origin }),
      await aggregator.app.inject({
        method: 'POST',
        url: admin,
        headers: { ...origin, authorization: `Bearer ${ADMIN_KEY}` },
      }),
    ];
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([404, 200, 200]);
    for (const { headers } of answers) {
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
      expect(headers['set-cookie']).toBeUndefined();
    }
  });

  test.each<[string, PluralError, number]>([
    [
      'a file that cannot be written',
      new PluralError('WRITE_FAILED', '/srv/secret/blobs cannot be written', { hint: 'chmod /srv/secret' }),
      500,
    ],
    [
      'a full disk',
      new PluralError('DISK_FULL', '/srv/secret/blobs: no room', { hint: 'free /srv/secret' }),
      507,
    ],
    [
      'a store that is away',
      new PluralError('STORE_UNAVAILABLE', 'bucket secret at s3.secret.example', { hint: 'Try again.' }),
      503,
    ],
    ['a fault', new PluralError('INTERNAL', 'secret is not a function'), 500],
  ])('tell of %s by its code alone', async (_, error, status) => {
    trouble = error;
    const bytes = Buffer.from(error.code);
    const digest = sha256(bytes);
    await run.begin(ann, digest, bytes.byteLength);
    const answer = await run.chunk(ann, digest, 0, bytes);
    trouble = null;
    expect(refusalIn(answer)).toEqual({ status, code: error.code });
    expect(answer.payload).not.toContain('secret');
  });

  test('to a method that is written over another go to the method of the request line', async () => {
    const headers = {
      'x-http-method-override': 'DELETE',
      'x-method-override': 'DELETE',
      'x-http-method': 'DELETE',
    };
    const call: Call = { method: 'GET', path: run.path('/groups/me') };
    expect(refusalIn(await run.send(ann, call, { headers }))).toEqual({ status: 404, code: 'ROUTE_UNKNOWN' });
    const url = `/v1/admin/runs/${run.run}/groups/ann?_method=DELETE`;
    const admin = { ...headers, authorization: `Bearer ${ADMIN_KEY}` };
    expect((await aggregator.app.inject({ method: 'POST', url, headers: admin })).statusCode).toBe(404);
    expect((await run.status()).members.map(({ group }) => group)).toEqual(['ann']);
  });
});

describe('names', () => {
  test.each([
    "'; drop table runs; --",
    '$1',
    '%',
    '__proto__',
    'constructor',
    'toString',
    '../../etc/passwd',
    'a/b?c#d&e=f',
    '%2e%2e%2f',
    '<script>alert(1)</script>',
    '{"a":1}',
    'good\u0301',
    '好'.repeat(256),
    '😀'.repeat(128),
  ])('%j is a group like any other: it joins, is told, takes part, and can be sent away', async (group) => {
    const own = await TestRun.create(aggregator, { plan: tinyPlan({ quorum: 1 }) });
    const member = await own.join(group);
    expect((await own.status()).members.map((each) => each.group)).toEqual([group]);
    await own.takePart(member);
    await own.folded(1);
    const path = `/v1/admin/runs/${own.run}/groups/${encodeURIComponent(group)}`;
    expect((await adminInject(aggregator, { method: 'DELETE', path })).statusCode).toBe(200);
    const refused = await own.send(member, { method: 'GET', path: own.path('/task') });
    expect(refusalIn(refused)).toEqual({ status: 403, code: 'KEY_REVOKED' });
  });

  test('of runs are found for each of those that are made at once', async () => {
    const make = () =>
      adminInject(aggregator, {
        method: 'POST',
        path: '/v1/admin/runs',
        body: { name: 'Same', plan: tinyPlan() },
      });
    const made = await Promise.all(Array.from({ length: 5 }, make));
    expect(made.map(({ statusCode }) => statusCode)).toEqual(Array(5).fill(200));
    expect(new Set(made.map((answer) => answer.json().run)).size).toBe(5);
  });

  test.each(['../x', '%', '__proto__', '好', '', ' ', '\u202e'])(
    'a run called %j is one like any other',
    async (name) => {
      const answer = await adminInject(aggregator, {
        method: 'POST',
        path: '/v1/admin/runs',
        body: { name: name || '-', plan: tinyPlan() },
      });
      expect(answer.json().run).toMatch(/^[a-z0-9][a-z0-9-]*$/);
    },
  );
});

describe('what groups can make an aggregator keep', () => {
  test('of events that they cause as often as they like, the newest stay', async () => {
    const { db } = aggregator.aggregator;
    const own = await TestRun.create(aggregator);
    const at = 1;
    for (const [type, count] of [
      ['refused', 1005],
      ['scored', 10_005],
      ['joined', 10_005],
      ['published', 1005],
    ] as const) {
      for (let from = 0; from < count; from += 5000) {
        const rows = Array.from({ length: Math.min(5000, count - from) }, (_, i) => ({
          run: own.run,
          at,
          type,
          data: JSON.stringify({ i: from + i }),
        }));
        await db.insertInto('events').values(rows).execute();
      }
    }
    await cleanUp(aggregator.aggregator);
    const counted = await db
      .selectFrom('events')
      .select(['type', ({ fn }) => fn.countAll<string>().as('count')])
      .where('run', '=', own.run)
      .groupBy('type')
      .orderBy('type')
      .execute();
    expect(counted.map(({ type, count }) => [type, Number(count)])).toEqual([
      ['joined', 10_000],
      ['published', 1005],
      ['refused', 1000],
      ['scored', 10_000],
    ]);
    const oldest = db
      .selectFrom('events')
      .select('data')
      .where('run', '=', own.run)
      .where('type', '=', 'refused');
    expect((await oldest.orderBy('seq').limit(1).executeTakeFirstOrThrow()).data).toEqual({ i: 5 });
  });

  test('an update of nothing but empty maps is refused before any of them is made', () => {
    // 20 MB of them would be gigabytes of objects.
    const inside = Buffer.alloc(20_000_000, 0xa0);
    const bomb = Buffer.concat([Buffer.from('9a01312d00', 'hex'), inside]);
    let thrown: unknown;
    try {
      decodeSubmission(bomb);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'UPDATE_MALFORMED', cause: new Error('it has more than 17 items') });
  });
});

test('a key that joined cannot do what another may', async () => {
  const bob = await run.join('bob', freshIdentity());
  const bytes = Buffer.from('of ann');
  const digest = sha256(bytes);
  await run.begin(ann, digest, bytes.byteLength);
  expect((await run.begin(bob, digest, 7)).json()).toEqual({ received: 0, size: 7, complete: false });
  expect((await run.begin(ann, digest, bytes.byteLength)).json()).toMatchObject({ size: bytes.byteLength });
  expect((await run.send(bob, { method: 'DELETE', path: run.path('/groups/ann') })).statusCode).toBe(404);
});
