import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encode } from 'cborg';
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Clock } from '../../src/core/clock.ts';
import { sha256 } from '../../src/core/digest.ts';
import { diskBlobs } from '../../src/server/blobs/disk.ts';
import { CLOCK_TOLERANCE_MS, SIGNATURE_HEADERS } from '../../src/wire/signed-request.ts';
import { temporaryFolder } from '../support/cli.ts';
import {
  adminInject,
  type Call,
  refusalIn,
  signedOptions,
  type TestGroup,
  TestRun,
  type Twist,
} from '../support/signed-inject.ts';
import {
  ADMIN_KEY,
  freshIdentity,
  openTestAggregator,
  type TestAggregator,
  tinyPlan,
} from '../support/test-aggregator.ts';

const CHUNK_BYTES = 16_384;
const folder = temporaryFolder();
/** A clock that can be set; it goes on from the real time, as signatures do not care. */
let nowMs = Date.now();
const clock: Clock = { now: () => nowMs };
let aggregator: TestAggregator;
let run: TestRun;
let other: TestRun;
let ann: TestGroup;
let ben: TestGroup;
let revoked: TestGroup;

beforeAll(async () => {
  const blobs = await diskBlobs(folder);
  aggregator = await openTestAggregator({ blobs, clock, limits: { chunkBytes: CHUNK_BYTES } });
  run = await TestRun.create(aggregator, { plan: tinyPlan({ quorum: 3 }) });
  other = await TestRun.create(aggregator, { name: 'other' });
  revoked = await run.join('revoked');
  ann = await run.join('ann');
  ben = await run.join('ben');
  await run.join('cem');
  await run.join('dee');
  await adminInject(aggregator, { method: 'DELETE', path: `/v1/admin/runs/${run.run}/groups/revoked` });
  await adminInject(aggregator, { method: 'POST', path: `/v1/admin/runs/${run.run}/start` });
});
afterAll(() => aggregator.close());

const TABLES = [
  'runs',
  'members',
  'invitations',
  'uploads',
  'submissions',
  'models',
  'scores',
  'events',
] as const;

/** All that is kept: every row but for when groups were seen and what was refused, and every blob. */
async function dump(): Promise<unknown> {
  const { db } = aggregator.aggregator;
  const tables: Record<string, unknown> = {};
  for (const table of TABLES) {
    const rows: readonly object[] = await db.selectFrom(table).selectAll().execute();
    tables[table] = rows
      .filter((row) => !('type' in row) || row.type !== 'refused')
      .map((row) => JSON.stringify({ ...row, last_seen_at: 0, seq: 0 }))
      .sort();
  }
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const blobs = files.map(({ parentPath, name }) => {
    const path = join(parentPath, name);
    return [path, sha256(readFileSync(path))];
  });
  return { tables, blobs: blobs.sort() };
}

async function nonces(): Promise<number> {
  return (await aggregator.aggregator.db.selectFrom('nonces').selectAll().execute()).length;
}

interface Refusal {
  readonly status: number;
  readonly code: string;
}

/** Sends something, and holds the answer and what is kept against what they should be. */
async function expectRefusal(
  send: () => PromiseLike<LightMyRequestResponse>,
  refusal: Refusal,
  { nonce }: { nonce: 'kept' | 'spent' },
): Promise<void> {
  const before = { all: await dump(), nonces: await nonces() };
  const response = await send();
  expect(refusalIn(response), response.payload).toEqual(refusal);
  expect(response.json().error.message).not.toBe('');
  expect(await dump()).toEqual(before.all);
  expect((await nonces()) - before.nonces).toBe(nonce === 'spent' ? 1 : 0);
}

const KEPT = { nonce: 'kept' } as const;
const SPENT = { nonce: 'spent' } as const;

const taskCall = (): Call => ({ method: 'GET', path: run.path('/task') });
const submitCall = (body: unknown): Call => ({ method: 'POST', path: run.path('/submissions'), body });
const uploadsCall = (body: unknown): Call => ({ method: 'POST', path: run.path('/uploads'), body });
const asAnn = (call: Call, twist: Twist = {}) => run.send(ann, call, twist);

describe('who asks', () => {
  test.each<[string, () => Twist, Refusal]>([
    [
      'unsigned',
      () => ({ headers: Object.fromEntries(Object.values(SIGNATURE_HEADERS).map((name) => [name, null])) }),
      { status: 401, code: 'REQUEST_UNSIGNED' },
    ],
    [
      'without its signature',
      () => ({ headers: { [SIGNATURE_HEADERS.signature]: null } }),
      { status: 401, code: 'REQUEST_UNSIGNED' },
    ],
    [
      'without its key',
      () => ({ headers: { [SIGNATURE_HEADERS.key]: null } }),
      { status: 401, code: 'SIGNATURE_INVALID' },
    ],
    [
      'with a signature of nothing',
      () => ({ headers: { [SIGNATURE_HEADERS.signature]: '00'.repeat(64) } }),
      { status: 401, code: 'SIGNATURE_INVALID' },
    ],
    [
      'with a signature that is none',
      () => ({ headers: { [SIGNATURE_HEADERS.signature]: 'zz' } }),
      { status: 401, code: 'SIGNATURE_INVALID' },
    ],
    [
      'in the name of another key',
      () => ({ headers: { [SIGNATURE_HEADERS.key]: ben.identity.publicKey } }),
      { status: 401, code: 'SIGNATURE_INVALID' },
    ],
    [
      'signed for another method',
      () => ({ signed: { method: 'POST' } }),
      { status: 401, code: 'SIGNATURE_INVALID' },
    ],
    [
      'signed for another path',
      () => ({ signed: { path: run.path('/definition') } }),
      { status: 401, code: 'SIGNATURE_INVALID' },
    ],
    [
      'signed for another query',
      () => ({ signed: { path: `${run.path('/task')}?after=1` } }),
      { status: 401, code: 'SIGNATURE_INVALID' },
    ],
    [
      'signed for another aggregator',
      () => ({ audience: ben.identity.publicKey }),
      { status: 401, code: 'SIGNATURE_INVALID' },
    ],
    [
      'signed for another body',
      () => ({ signed: { body: Buffer.from('x') } }),
      { status: 400, code: 'BODY_DIGEST' },
    ],
    [
      'with a stale clock',
      () => ({ timeMs: nowMs - CLOCK_TOLERANCE_MS - 1 }),
      { status: 401, code: 'CLOCK_SKEWED' },
    ],
    [
      'with a clock of the future',
      () => ({ timeMs: nowMs + CLOCK_TOLERANCE_MS + 1 }),
      { status: 401, code: 'CLOCK_SKEWED' },
    ],
  ])('a request %s', async (_, twist, refusal) => {
    await expectRefusal(() => asAnn(taskCall(), twist()), refusal, KEPT);
  });

  test('every header of a signature that comes twice', async () => {
    for (const name of Object.values(SIGNATURE_HEADERS)) {
      const options = signedOptions(aggregator, ann.identity, taskCall());
      const value = String(options.headers?.[name]);
      const doubled = { ...options, headers: { ...options.headers, [name]: [value, value] } };
      await expectRefusal(
        () => aggregator.app.inject(doubled),
        { status: 401, code: 'SIGNATURE_INVALID' },
        KEPT,
      );
    }
  });

  test('the same request again, at once and as long as its signature counts', async () => {
    const options = signedOptions(aggregator, ann.identity, taskCall(), {
      timeMs: nowMs + CLOCK_TOLERANCE_MS,
    });
    expect((await aggregator.app.inject(options)).statusCode).toBe(200);
    const replayed = { status: 401, code: 'NONCE_REPLAYED' };
    await expectRefusal(() => aggregator.app.inject(options), replayed, KEPT);
    const before = nowMs;
    nowMs += 2 * CLOCK_TOLERANCE_MS;
    await expectRefusal(() => aggregator.app.inject(options), replayed, KEPT);
    nowMs += 1;
    await expectRefusal(() => aggregator.app.inject(options), { status: 401, code: 'CLOCK_SKEWED' }, KEPT);
    nowMs = before;
  });

  test('a nonce that was used before, under another request', async () => {
    const nonce = 'ab'.repeat(16);
    expect((await asAnn(taskCall(), { nonce })).statusCode).toBe(200);
    const call = { method: 'GET', path: run.path('/definition') } as const;
    await expectRefusal(() => asAnn(call, { nonce }), { status: 401, code: 'NONCE_REPLAYED' }, KEPT);
    // Nonces are counted by key: nobody can use up those of others.
    expect((await run.send(ben, taskCall(), { nonce })).statusCode).toBe(200);
  });

  test('one of two that come at once with the same nonce', async () => {
    const options = signedOptions(aggregator, ann.identity, taskCall());
    const answers = await Promise.all([1, 2, 3].map(() => aggregator.app.inject(options)));
    expect(answers.map(({ statusCode }) => statusCode).sort()).toEqual([200, 401, 401]);
  });

  test('an unknown key, also one that is in another run', async () => {
    const refusal = { status: 403, code: 'KEY_UNKNOWN' };
    const stranger = { identity: freshIdentity() };
    await expectRefusal(() => run.send(stranger, taskCall()), refusal, KEPT);
    await expectRefusal(() => run.send(ann, { method: 'GET', path: other.path('/task') }), refusal, KEPT);
  });

  test('a key that was revoked, whatever it asks', async () => {
    const refusal = { status: 403, code: 'KEY_REVOKED' };
    await expectRefusal(() => run.send(revoked, taskCall()), refusal, KEPT);
    await expectRefusal(() => run.begin(revoked, sha256('x'), 5), refusal, KEPT);
    const token = await run.invite();
    const again = (group: string): Call => ({
      method: 'POST',
      path: run.path('/groups'),
      body: { group, token },
    });
    await expectRefusal(() => run.send(revoked, again('revoked')), refusal, SPENT);
    await expectRefusal(() => run.send(revoked, again('another name')), refusal, SPENT);
    await expectRefusal(() => run.send({ identity: freshIdentity() }, again('revoked')), refusal, SPENT);
  });
});

describe('what is asked', () => {
  test.each<[string, () => Call, Refusal]>([
    [
      'a run that is not there',
      () => ({ method: 'GET', path: '/v1/runs/nothing/task' }),
      { status: 403, code: 'KEY_UNKNOWN' },
    ],
    [
      'what is no name of a run',
      () => ({ method: 'GET', path: '/v1/runs/..%2ftiny/task' }),
      { status: 404, code: 'AGGREGATOR_UNKNOWN_RUN' },
    ],
    [
      'an unknown route',
      () => ({ method: 'GET', path: run.path('/nothing') }),
      { status: 404, code: 'ROUTE_UNKNOWN' },
    ],
    [
      'an unknown method',
      () => ({ method: 'PUT', path: run.path('/task') }),
      { status: 404, code: 'ROUTE_UNKNOWN' },
    ],
    [
      'a doubled slash',
      () => ({ method: 'GET', path: `/v1//runs/${run.run}/task` }),
      { status: 404, code: 'ROUTE_UNKNOWN' },
    ],
    [
      'a slash at the end',
      () => ({ method: 'GET', path: run.path('/task/') }),
      { status: 404, code: 'ROUTE_UNKNOWN' },
    ],
    [
      'another case',
      () => ({ method: 'GET', path: run.path('/Task') }),
      { status: 404, code: 'ROUTE_UNKNOWN' },
    ],
    [
      'a path that cannot be decoded',
      () => ({ method: 'GET', path: '/v1/runs/%zz/task' }),
      { status: 400, code: 'REQUEST_MALFORMED' },
    ],
    [
      'a parameter longer than any name',
      () => ({ method: 'GET', path: `/v1/runs/${'a'.repeat(3000)}/task` }),
      { status: 400, code: 'REQUEST_MALFORMED' },
    ],
    [
      'no query where one is needed',
      () => ({ method: 'GET', path: run.path('/models') }),
      { status: 400, code: 'REQUEST_MALFORMED' },
    ],
    [
      'a query twice',
      () => ({ method: 'GET', path: run.path('/models?after=0&after=1') }),
      { status: 400, code: 'REQUEST_MALFORMED' },
    ],
    [
      'an unknown query',
      () => ({ method: 'GET', path: run.path('/models?after=0&x=1') }),
      { status: 400, code: 'REQUEST_MALFORMED' },
    ],
    [
      'a round beyond all numbers',
      () => ({ method: 'GET', path: run.path('/models/999999999999999/parameters?offset=0&length=1') }),
      { status: 400, code: 'REQUEST_MALFORMED' },
    ],
    ['malformed JSON', () => submitCall(undefined), { status: 400, code: 'REQUEST_MALFORMED' }],
    [
      'a body of another form',
      () => submitCall({ round: '1', step: 0, digest: sha256('x') }),
      { status: 400, code: 'REQUEST_MALFORMED' },
    ],
    [
      'a field too many',
      () => submitCall({ round: 1, step: 0, digest: sha256('x'), group: 'ben' }),
      { status: 400, code: 'REQUEST_MALFORMED' },
    ],
    [
      'numbers that no database keeps',
      () => submitCall({ round: 2 ** 53 - 1, step: 0, digest: sha256('x') }),
      { status: 400, code: 'REQUEST_MALFORMED' },
    ],
    [
      'JSON over the limit',
      () => submitCall({ round: 1, step: 0, digest: 'x'.repeat(70_000) }),
      { status: 413, code: 'BODY_TOO_LARGE' },
    ],
    [
      'a chunk over the limit',
      () => ({
        method: 'PUT',
        path: run.path(`/uploads/${sha256('x')}?offset=0`),
        body: Buffer.alloc(CHUNK_BYTES + 1),
      }),
      { status: 413, code: 'BODY_TOO_LARGE' },
    ],
  ])('%s', async (_, call, refusal) => {
    await expectRefusal(() => asAnn(call()), refusal, KEPT);
  });

  test.each(['{', '{"round":1', '{"round":1}}', '\u0000', '"', '[1,]', "{'a':1}", 'NaN', '\ufeff{}'])(
    'the body %j is not JSON of the right form',
    async (text) => {
      const body = Buffer.from(text);
      const twist = { headers: { 'content-type': 'application/json' } };
      await expectRefusal(
        () => asAnn(submitCall(body), twist),
        { status: 400, code: 'REQUEST_MALFORMED' },
        KEPT,
      );
    },
  );

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/cbor',
    'nonsense',
    'application/jsonp',
  ])('a body of type %s', async (type) => {
    const call = submitCall({ round: 1, step: 0, digest: sha256('x') });
    const twist = { headers: { 'content-type': type } };
    await expectRefusal(() => asAnn(call, twist), { status: 400, code: 'REQUEST_MALFORMED' }, KEPT);
  });

  test('a chunk as JSON, and JSON as a chunk', async () => {
    const chunk: Call = { method: 'PUT', path: run.path(`/uploads/${sha256('x')}?offset=0`), body: { a: 1 } };
    const refusal = { status: 400, code: 'REQUEST_MALFORMED' };
    await expectRefusal(() => asAnn(chunk), refusal, SPENT);
    const json = uploadsCall(Buffer.from(JSON.stringify({ digest: sha256('x'), size: 5 })));
    await expectRefusal(() => asAnn(json), refusal, KEPT);
  });

  test('a body that is not the signed one: another, a longer, a shorter, none', async () => {
    const call = uploadsCall({ digest: sha256('x'), size: 5 });
    const sent = JSON.stringify(call.body);
    for (const text of [sent.replace('5', '6'), `${sent} `, sent.slice(0, -1), '']) {
      const twist = { signed: { body: Buffer.from(text) } };
      await expectRefusal(() => asAnn(call, twist), { status: 400, code: 'BODY_DIGEST' }, KEPT);
    }
    const chunk: Call = {
      method: 'PUT',
      path: run.path(`/uploads/${sha256('x')}?offset=0`),
      body: Buffer.from('abc'),
    };
    const twist = { signed: { body: Buffer.from('abd') } };
    await expectRefusal(() => asAnn(chunk, twist), { status: 400, code: 'BODY_DIGEST' }, KEPT);
  });

  test('a run that is not there, to anybody', async () => {
    const { app } = aggregator;
    const unknown = { status: 404, code: 'AGGREGATOR_UNKNOWN_RUN' };
    await expectRefusal(() => app.inject('/v1/runs/nothing'), unknown, KEPT);
    await expectRefusal(() => app.inject('/v1/runs/nothing/events'), unknown, KEPT);
    await expectRefusal(
      () => app.inject('/v1/runs/NOTHING'),
      { status: 400, code: 'REQUEST_MALFORMED' },
      KEPT,
    );
    const join: Call = { method: 'POST', path: '/v1/runs/nothing/groups', body: { group: 'x', token: null } };
    await expectRefusal(() => asAnn(join), unknown, SPENT);
    for (const path of ['/start', '/stop']) {
      const call: Call = { method: 'POST', path: `/v1/admin/runs/nothing${path}` };
      await expectRefusal(() => adminInject(aggregator, call), unknown, KEPT);
    }
  });
});

describe('who joins', () => {
  const joinCall = (body: unknown): Call => ({ method: 'POST', path: run.path('/groups'), body });
  const stranger = { identity: freshIdentity() };
  const invalid = { status: 403, code: 'INVITATION_INVALID' };

  test('without an invitation, or with one that was never made', async () => {
    for (const token of [null, '00'.repeat(32)]) {
      await expectRefusal(() => run.send(stranger, joinCall({ group: 'new', token })), invalid, SPENT);
    }
  });

  test('with one that was used', async () => {
    const token = await run.invite();
    const first = { identity: freshIdentity() };
    expect((await run.send(first, joinCall({ group: 'guest', token }))).statusCode).toBe(200);
    await expectRefusal(() => run.send(stranger, joinCall({ group: 'new', token })), invalid, SPENT);
  });

  test('with one that has expired, that is of another run, or for another group', async () => {
    const token = await run.invite(null, 1000);
    nowMs += 1000;
    await expectRefusal(() => run.send(stranger, joinCall({ group: 'new', token })), invalid, SPENT);
    const foreign = await other.invite();
    await expectRefusal(() => run.send(stranger, joinCall({ group: 'new', token: foreign })), invalid, SPENT);
    const named = await run.invite('somebody');
    await expectRefusal(() => run.send(stranger, joinCall({ group: 'new', token: named })), invalid, SPENT);
  });

  test('from an allow-list that has another key, another group, or is of another run', async () => {
    const { publicKey } = stranger.identity;
    const allow = (of: TestRun, body: unknown) =>
      adminInject(aggregator, { method: 'POST', path: `/v1/admin/runs/${of.run}/keys`, body });
    await allow(other, { group: 'new', publicKey });
    await allow(run, { group: 'new', publicKey: freshIdentity().publicKey });
    await expectRefusal(() => run.send(stranger, joinCall({ group: 'new', token: null })), invalid, SPENT);
    await allow(run, { group: 'somebody else', publicKey });
    await expectRefusal(() => run.send(stranger, joinCall({ group: 'new', token: null })), invalid, SPENT);
  });

  test('under an id that is taken, or with a key that has another id; the invitation is not used up', async () => {
    const token = await run.invite();
    const taken = { status: 409, code: 'GROUP_TAKEN' };
    await expectRefusal(() => run.send(stranger, joinCall({ group: 'ann', token })), taken, SPENT);
    await expectRefusal(() => run.send(ann, joinCall({ group: 'ann2', token })), taken, SPENT);
    await expectRefusal(() => run.send(ann, joinCall({ group: 'ben', token })), taken, SPENT);
  });

  test.each([
    '',
    ' ',
    'a\nb',
    'a\0b',
    'a\u202eb',
    'a\u2028b',
    '\u200b',
    '..',
    'x'.repeat(257),
    'half \ud83d',
    7,
    null,
    ['ann'],
  ])('under the id %j', async (group) => {
    const token = await run.invite();
    const call = joinCall({ group, token });
    await expectRefusal(() => run.send(stranger, call), { status: 400, code: 'REQUEST_MALFORMED' }, KEPT);
  });
});

describe('an upload', () => {
  test('larger than any update of the run', async () => {
    const call = uploadsCall({ digest: sha256('x'), size: 65_536 + 16 * run.parameters + 1 });
    await expectRefusal(() => asAnn(call), { status: 413, code: 'BODY_TOO_LARGE' }, SPENT);
  });

  test('of no bytes, less than none, half a byte, more than all numbers', async () => {
    for (const size of [0, -1, 0.5, 2 ** 60, '5', null]) {
      const call = uploadsCall({ digest: sha256('x'), size });
      await expectRefusal(() => asAnn(call), { status: 400, code: 'REQUEST_MALFORMED' }, KEPT);
    }
  });

  test('a chunk of one that was not begun, or was begun by another group', async () => {
    const bytes = Buffer.from('of ben');
    const refusal = { status: 409, code: 'UPLOAD_INCOMPLETE' };
    await expectRefusal(() => run.chunk(ann, sha256(bytes), 0, bytes), refusal, SPENT);
    await run.begin(ben, sha256(bytes), bytes.byteLength);
    await expectRefusal(() => run.chunk(ann, sha256(bytes), 0, bytes), refusal, SPENT);
  });

  test('a chunk beyond the end, one that leaves a gap, one that overlaps, another size than before', async () => {
    const bytes = Buffer.alloc(100, 7);
    const digest = sha256(bytes);
    await run.begin(ann, digest, 100);
    await run.chunk(ann, digest, 0, bytes.subarray(0, 50));
    const refusal = { status: 409, code: 'UPLOAD_RANGE' };
    await expectRefusal(() => run.chunk(ann, digest, 50, Buffer.alloc(51)), refusal, SPENT);
    await expectRefusal(() => run.chunk(ann, digest, 100, Buffer.alloc(1)), refusal, SPENT);
    await expectRefusal(() => run.chunk(ann, digest, 999_999_999_999_999, Buffer.alloc(1)), refusal, SPENT);
    await expectRefusal(() => run.chunk(ann, digest, 60, bytes.subarray(60)), refusal, SPENT);
    await expectRefusal(() => run.chunk(ann, digest, 40, bytes.subarray(40, 60)), refusal, SPENT);
    await expectRefusal(() => run.begin(ann, digest, 101), refusal, SPENT);
    for (const offset of ['', '-1', '1.5', 'x', '0&offset=1', '1e3', '%00']) {
      const call: Call = {
        method: 'PUT',
        path: run.path(`/uploads/${digest}?offset=${offset}`),
        body: bytes,
      };
      await expectRefusal(() => asAnn(call), { status: 400, code: 'REQUEST_MALFORMED' }, KEPT);
    }
    const empty: Call = { method: 'PUT', path: run.path(`/uploads/${digest}?offset=50`) };
    await expectRefusal(() => asAnn(empty), { status: 400, code: 'REQUEST_MALFORMED' }, SPENT);
  });

  test('whose bytes are not what it was begun as: nothing of it is left', async () => {
    const before = await dump();
    const digest = sha256('announced');
    await run.begin(ann, digest, 20);
    await run.chunk(ann, digest, 0, Buffer.alloc(10));
    const answer = await run.chunk(ann, digest, 10, Buffer.alloc(10));
    expect(refusalIn(answer)).toEqual({ status: 422, code: 'UPLOAD_DIGEST' });
    // The group may have two uploads open: the one that was left before is given up for it.
    const after = await dump();
    expect(JSON.stringify(after)).not.toContain(digest);
    expect(JSON.stringify(after).length).toBeLessThanOrEqual(JSON.stringify(before).length);
  });

  test('that is not complete, or is of another group, is not submitted', async () => {
    const submission = await run.submission(ann);
    const { round, step, digest, bytes } = submission;
    const refusal = { status: 409, code: 'UPLOAD_INCOMPLETE' };
    await expectRefusal(() => run.submit(ann, { round, step, digest }), refusal, SPENT);
    await run.begin(ann, digest, bytes.byteLength);
    await expectRefusal(() => run.submit(ann, { round, step, digest }), refusal, SPENT);
    await run.chunk(ann, digest, 0, bytes.subarray(0, -1));
    await expectRefusal(() => run.submit(ann, { round, step, digest }), refusal, SPENT);
    await run.chunk(ann, digest, bytes.byteLength - 1, bytes.subarray(-1));
    await expectRefusal(() => run.submit(ben, { round, step, digest }), refusal, SPENT);
  });
});

/** Uploads bytes and expects that they are refused when they are submitted, and that the status tells of it. */
async function expectSubmissionRefused(
  member: TestGroup,
  bytes: Uint8Array,
  refusal: Refusal,
  claim: { round?: number; step?: number } = {},
  of: TestRun = run,
): Promise<void> {
  const digest = sha256(bytes);
  await of.upload(member, { bytes, digest });
  const { round } = await of.task(member);
  await expectRefusal(() => of.submit(member, { round, step: 0, digest, ...claim }), refusal, SPENT);
  const { errors } = await of.status();
  expect(errors[0]).toMatchObject({ code: refusal.code, group: member.group });
}

describe('an update', () => {
  const length = { status: 422, code: 'UPDATE_LENGTH' };
  const notFinite = { status: 422, code: 'UPDATE_NOT_FINITE' };
  const outOfRange = { status: 422, code: 'UPDATE_OUT_OF_RANGE' };
  const malformed = { status: 422, code: 'UPDATE_MALFORMED' };
  const ofRound = { status: 409, code: 'UPDATE_OF_ANOTHER_ROUND' };
  const ofModel = { status: 409, code: 'UPDATE_OF_ANOTHER_MODEL' };

  test.each<[string, Parameters<TestRun['submission']>[1] & object, Refusal]>([
    ['one parameter short', { parameters: tinyPlan().parameters - 1 }, length],
    ['one parameter too long', { parameters: tinyPlan().parameters + 1 }, length],
    ['of no parameters', { parameters: 0 }, length],
    ['with NaN', { value: Number.NaN }, notFinite],
    ['with Infinity', { value: Number.POSITIVE_INFINITY }, notFinite],
    ['with -Infinity', { value: Number.NEGATIVE_INFINITY }, notFinite],
    ['with a weight that is NaN', { weight: Number.NaN }, notFinite],
    ['with an infinite weight', { weight: Number.POSITIVE_INFINITY }, notFinite],
    ['with the weight 0', { weight: 0 }, outOfRange],
    ['with a negative weight', { weight: -1 }, outOfRange],
    ['with a weight below the grid', { weight: 2 ** -40 }, outOfRange],
    ['with a huge weight', { weight: 1e300 }, outOfRange],
    ['with a huge number', { value: 1e30 }, outOfRange],
    ['that fills the sum of the round', { weight: 2 ** 21 - 2 ** -32 }, outOfRange],
    ['of another model', { model: sha256('another model') }, ofModel],
    ['of another run', { run: sha256('another run') }, ofModel],
    ['in the name of another group', { group: 'ben' }, { status: 403, code: 'UPDATE_OF_ANOTHER_GROUP' }],
    ['in the name of nobody', { group: '\0\u202e' }, { status: 403, code: 'UPDATE_OF_ANOTHER_GROUP' }],
    ['that says another round than its claim', { round: 2 }, ofRound],
    ['that says another step than its claim', { step: 1 }, ofRound],
  ])('%s', async (_, change, refusal) => {
    const { bytes } = await run.submission(ann, change);
    await expectSubmissionRefused(ann, bytes, refusal);
  });

  test('of another round or step than is under way', async () => {
    for (const place of [
      { round: 2, step: 0 },
      { round: 1, step: 1 },
      { round: 2 ** 31 - 1, step: 2 ** 31 - 1 },
    ]) {
      const { bytes } = await run.submission(ann, place);
      await expectSubmissionRefused(ann, bytes, ofRound, place);
    }
  });

  test('that is not CBOR, or not a submission', async () => {
    const texts = [
      Buffer.from('not CBOR at all'),
      Buffer.from('ff', 'hex'),
      Buffer.alloc(1000),
      Buffer.from('9b7fffffffffffffff', 'hex'),
      Buffer.alloc(5000, 0x81),
      Buffer.alloc(5000, 0xa0),
      Buffer.from(encode({ format: 2 })),
      Buffer.from(encode([1, 2, 3])),
    ];
    for (const bytes of texts) await expectSubmissionRefused(ann, bytes, malformed);
  });

  test('in another encoding than the one', async () => {
    const { bytes } = await run.submission(ann);
    const hex = Buffer.from(bytes).toString('hex');
    const others = [
      `${hex}00`,
      // The same map with its length in a byte of its own, and without a length.
      `b808${hex.slice(2)}`,
      `bf${hex.slice(2)}ff`,
      // Round 1 in two bytes; "format" before "run".
      hex.replace('65726f756e6401', '65726f756e641801'),
      hex.replace('66666f726d617402', '').replace(/^a8/, 'a866666f726d617402'),
    ];
    for (const other of others) {
      expect(other).not.toBe(hex);
      await expectSubmissionRefused(ann, Buffer.from(other, 'hex'), malformed);
    }
  });

  test('under a protection that the run does not have', async () => {
    const { bytes } = await run.submission(ann);
    const text = Buffer.from(bytes).toString('latin1').replace('dnone', 'dmask');
    await expectSubmissionRefused(ann, Buffer.from(text, 'latin1'), { status: 422, code: 'ROUND_REFUSED' });
  });

  test('of a group that the round does not ask, because it joined late', async () => {
    const latest = await run.join('latest');
    const own = await run.submission(latest);
    expect((await run.task(latest)).asked).toBe(false);
    await expectSubmissionRefused(latest, own.bytes, { status: 409, code: 'GROUP_NOT_ASKED' });
  });
});

describe('a second update', () => {
  test('of the same group is refused when it differs, in its round and later; the same is acknowledged again', async () => {
    const two = await TestRun.create(aggregator, { name: 'two' });
    const anna = await two.join('anna');
    const bert = await two.join('bert');
    const first = await two.submission(anna);
    const second = await two.submission(anna, { value: 0.5 });
    const claim = ({ digest }: { digest: string }) => ({ round: 1, step: 0, digest });
    await two.upload(anna, first);
    expect((await two.submit(anna, claim(first))).json()).toEqual({ repeated: false });
    await two.upload(anna, second);
    const changed = { status: 409, code: 'UPDATE_CHANGED' };
    await expectRefusal(() => two.submit(anna, claim(second)), changed, SPENT);
    expect((await two.submit(anna, claim(first))).json()).toEqual({ repeated: true });
    await two.takePart(bert);
    await two.folded(1);
    await expectRefusal(() => two.submit(anna, claim(second)), changed, SPENT);
    expect((await two.submit(anna, claim(first))).json()).toEqual({ repeated: true });
    const old = { status: 409, code: 'UPDATE_OF_ANOTHER_ROUND' };
    await expectRefusal(() => two.submit(anna, { ...claim(second), round: 2 }), old, SPENT);
    const stale = await two.submission(anna, { model: (await recordsOf(two, anna))[0]!.model });
    await expectSubmissionRefused(
      anna,
      stale.bytes,
      { status: 409, code: 'UPDATE_OF_ANOTHER_MODEL' },
      {},
      two,
    );
  });

  test('that would make the sum of the round too large', async () => {
    const full = await TestRun.create(aggregator, { name: 'full' });
    const anna = await full.join('anna');
    const bert = await full.join('bert');
    const most = await full.submission(anna, { weight: 2 ** 20 });
    await full.upload(anna, most);
    expect((await full.submit(anna, { round: 1, step: 0, digest: most.digest })).statusCode).toBe(200);
    const { bytes } = await full.submission(bert, { weight: 2 ** 20 });
    await expectSubmissionRefused(bert, bytes, { status: 422, code: 'UPDATE_OUT_OF_RANGE' }, {}, full);
  });

  async function recordsOf(of: TestRun, member: TestGroup): Promise<{ model: string }[]> {
    return (await of.send(member, { method: 'GET', path: of.path('/models?after=-1') })).json().records;
  }
});

describe('models and scores', () => {
  test('the parameters of a round that is not published', async () => {
    const call: Call = { method: 'GET', path: run.path('/models/1/parameters?offset=0&length=10') };
    await expectRefusal(() => asAnn(call), { status: 409, code: 'UPDATE_OF_ANOTHER_ROUND' }, SPENT);
  });

  test('a score of a model that is not published, or of numbers that are none', async () => {
    const { model } = await run.task(ann);
    const good = { round: 0, model: model.model, alignment: 0.5, questions: 3, loss: 1 };
    const score = (change: object): Call => ({
      method: 'POST',
      path: run.path('/scores'),
      body: { ...good, ...change },
    });
    const ofModel = { status: 409, code: 'UPDATE_OF_ANOTHER_MODEL' };
    await expectRefusal(() => asAnn(score({ model: sha256('x') })), ofModel, SPENT);
    await expectRefusal(() => asAnn(score({ round: 1 })), ofModel, SPENT);
    const wrong = [
      { alignment: 1.01 },
      { alignment: -0.1 },
      { alignment: null },
      { questions: 0 },
      { questions: 2 ** 40 },
    ];
    for (const change of [...wrong, { loss: 1e300 }, { loss: 'x' }, { round: -1 }, { extra: 1 }]) {
      await expectRefusal(() => asAnn(score(change)), { status: 400, code: 'REQUEST_MALFORMED' }, KEPT);
    }
    expect((await asAnn(score({}))).statusCode).toBe(200);
  });
});

describe('the admin key', () => {
  const calls: readonly (() => Call)[] = [
    () => ({ method: 'POST', path: '/v1/admin/runs', body: { name: 'mine', plan: tinyPlan() } }),
    () => ({ method: 'POST', path: `/v1/admin/runs/${run.run}/start` }),
    () => ({ method: 'POST', path: `/v1/admin/runs/${run.run}/stop` }),
    () => ({
      method: 'POST',
      path: `/v1/admin/runs/${run.run}/invitations`,
      body: { group: null, count: 1, expiresInMs: 1000 },
    }),
    () => ({
      method: 'POST',
      path: `/v1/admin/runs/${run.run}/keys`,
      body: { group: 'x', publicKey: freshIdentity().publicKey },
    }),
    () => ({ method: 'DELETE', path: `/v1/admin/runs/${run.run}/groups/ann` }),
  ];

  test.each<[string, string | null]>([
    ['missing', null],
    ['empty', ''],
    ['another', `Bearer ${'00'.repeat(32)}`],
    ['of another scheme', `Basic ${ADMIN_KEY}`],
    ['without its scheme', ADMIN_KEY],
    ['in another case', `bearer ${ADMIN_KEY}`],
    ['in capitals', `Bearer ${ADMIN_KEY.toUpperCase()}`],
    ['cut short', `Bearer ${ADMIN_KEY.slice(0, -1)}`],
    ['too long', `Bearer ${ADMIN_KEY}0`],
    ['after a space too many', `Bearer  ${ADMIN_KEY}`],
    ['twice', `Bearer ${ADMIN_KEY}, Bearer ${ADMIN_KEY}`],
  ])('%s, on every route of the admin', async (_, authorization) => {
    for (const call of calls) {
      // With the signature of a group beside it: that is another right.
      const options = signedOptions(aggregator, ann.identity, call(), { headers: { authorization } });
      await expectRefusal(
        () => aggregator.app.inject(options),
        { status: 401, code: 'ADMIN_KEY_REQUIRED' },
        KEPT,
      );
    }
  });

  test.each<[string, () => Call, Refusal]>([
    [
      'a plan with a text that no database keeps',
      () => ({
        method: 'POST',
        path: '/v1/admin/runs',
        body: { name: 'x', plan: tinyPlan({ survey: { ...tinyPlan().survey, name: 'a\0' } }) },
      }),
      { status: 400, code: 'REQUEST_MALFORMED' },
    ],
    [
      'a plan of another size',
      () => ({
        method: 'POST',
        path: '/v1/admin/runs',
        body: { name: 'x', plan: tinyPlan({ parameters: 7 }) },
      }),
      { status: 422, code: 'CONFIG_CONFLICT' },
    ],
    [
      'a plan with an unknown key',
      () => ({
        method: 'POST',
        path: '/v1/admin/runs',
        body: { name: 'x', plan: tinyPlan({ config: { ...tinyPlan().config, nonsense: 1 } }) },
      }),
      { status: 422, code: 'CONFIG_UNKNOWN_KEY' },
    ],
    [
      'a plan with a wrong value',
      () => ({
        method: 'POST',
        path: '/v1/admin/runs',
        body: { name: 'x', plan: tinyPlan({ config: { ...tinyPlan().config, seed: 'x' } }) },
      }),
      { status: 422, code: 'CONFIG_INVALID' },
    ],
    [
      'a small-order key on the allow-list',
      () => ({
        method: 'POST',
        path: `/v1/admin/runs/${run.run}/keys`,
        body: { group: 'x', publicKey: `01${'00'.repeat(31)}` },
      }),
      { status: 400, code: 'REQUEST_MALFORMED' },
    ],
    [
      'too many invitations',
      () => ({
        method: 'POST',
        path: `/v1/admin/runs/${run.run}/invitations`,
        body: { group: null, count: 10_001, expiresInMs: 1000 },
      }),
      { status: 400, code: 'REQUEST_MALFORMED' },
    ],
    [
      'a group that is not there',
      () => ({ method: 'DELETE', path: `/v1/admin/runs/${run.run}/groups/nobody` }),
      { status: 404, code: 'DATA_UNKNOWN_GROUP' },
    ],
  ])('right, and %s', async (_, call, refusal) => {
    await expectRefusal(() => adminInject(aggregator, call()), refusal, KEPT);
  });
});
