import { connect } from 'node:net';
import { Writable } from 'node:stream';
import type { InjectOptions } from 'fastify';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { PluralError } from '../../src/core/errors.ts';
import { buildApp } from '../../src/server/app.ts';
import { SIGNATURE_HEADERS } from '../../src/wire/signed-request.ts';
import { type Call, signedOptions, type TestGroup, TestRun } from '../support/signed-inject.ts';
import {
  ADMIN_KEY,
  freshIdentity,
  openTestAggregator,
  type TestAggregator,
} from '../support/test-aggregator.ts';

/** What stands in bodies and must not stand in a log: as answers and tokens are. */
const MARK = 'what-nobody-may-read';

let aggregator: TestAggregator;
let run: TestRun;
let ann: TestGroup;
let app: Awaited<ReturnType<typeof buildApp>>;
let log = '';
/** Secrets that were sent. */
const secrets = new Set([ADMIN_KEY, MARK]);

beforeAll(async () => {
  aggregator = await openTestAggregator();
  run = await TestRun.create(aggregator);
  ann = await run.join('ann');
  const sink = new Writable({
    write: (chunk, _encoding, done) => {
      log += String(chunk);
      done();
    },
  });
  app = await buildApp(aggregator.services, {
    tls: null,
    trustProxy: false,
    logger: pino({ level: 'trace' }, sink),
  });
});
afterAll(async () => {
  await app.close();
  await aggregator.close();
});

/** Sends a signed request, which holds a signature that is a secret as long as it counts. */
async function send(call: Call, change: InjectOptions = {}, identity = ann.identity): Promise<number> {
  const options = signedOptions(aggregator, identity, call);
  secrets.add(String(options.headers?.[SIGNATURE_HEADERS.signature]));
  return (await app.inject({ ...options, ...change })).statusCode;
}

function expectSilence(): void {
  const lines = log.trim().split('\n');
  expect(lines.length).toBeGreaterThan(1);
  for (const line of lines) expect(() => JSON.parse(line)).not.toThrow();
  for (const secret of secrets) {
    expect(log).not.toContain(secret);
    expect(log).not.toContain(Buffer.from(secret).toString('base64'));
    // As bytes, which is how a raw packet would be written.
    expect(log).not.toContain([...Buffer.from(secret)].slice(0, 12).join(','));
  }
}

describe('at its most talkative, the log has no key, token, signature or body', () => {
  test('of requests that are answered', async () => {
    const token = await run.invite();
    secrets.add(token);
    const join: Call = { method: 'POST', path: run.path('/groups'), body: { group: 'bob', token } };
    expect(await send(join, {}, freshIdentity())).toBe(200);
    const bytes = Buffer.from(MARK.repeat(20));
    const digest = sha256(bytes);
    const upload: Call = {
      method: 'POST',
      path: run.path('/uploads'),
      body: { digest, size: bytes.byteLength },
    };
    expect(await send(upload)).toBe(200);
    expect(await send({ method: 'PUT', path: run.path(`/uploads/${digest}?offset=0`), body: bytes })).toBe(
      200,
    );
    expect(await send({ method: 'GET', path: run.path('/task') })).toBe(200);
    const headers = { authorization: `Bearer ${ADMIN_KEY}` };
    const url = `/v1/admin/runs/${run.run}/start`;
    expect((await app.inject({ method: 'POST', url, headers })).statusCode).toBe(200);
    // Nothing was to be said; the next test has lines to look at.
    expect(log).toBe('');
  });

  test('of requests that are refused', async () => {
    const token = '5e'.repeat(32);
    secrets.add(token);
    const path = run.path('/groups');
    const json = { 'content-type': 'application/json' };
    const broken = [
      `{"group":"x","token":"${token}"`,
      `{"token":"${token}"x`,
      `{"token":${token}}`,
      `"${MARK}`,
      MARK,
    ];
    for (const text of broken) {
      const body = Buffer.from(text);
      const options = signedOptions(
        aggregator,
        ann.identity,
        { method: 'POST', path, body },
        { headers: json },
      );
      expect((await app.inject(options)).statusCode).toBe(400);
      const admin = { ...json, authorization: `Bearer ${ADMIN_KEY}` };
      expect(
        (await app.inject({ method: 'POST', url: '/v1/admin/runs', headers: admin, payload: body }))
          .statusCode,
      ).toBe(400);
    }
    expect(await send({ method: 'POST', path, body: { group: 'new', token } }, {}, freshIdentity())).toBe(
      403,
    );
    expect(await send({ method: 'POST', path, body: { group: 'new', token: `${token} ` } })).toBe(400);
    expect(await send({ method: 'POST', path, body: { group: `\n${MARK}`, token: null } })).toBe(400);
    expect(await send({ method: 'GET', path: run.path('/task') }, { url: run.path('/definition') })).toBe(
      401,
    );
    // A near miss is as good as the key to who reads it.
    const nearMiss = `${ADMIN_KEY.slice(0, -1)}0`;
    secrets.add(nearMiss.slice(0, 40));
    for (const authorization of [`Bearer ${nearMiss}`, `Basic ${ADMIN_KEY}`, ADMIN_KEY]) {
      const answer = await app.inject({
        method: 'POST',
        url: `/v1/admin/runs/${run.run}/stop`,
        headers: { authorization },
      });
      expect(answer.statusCode).toBe(401);
    }
    expectSilence();
  });

  test('of requests that the server itself fails to answer', async () => {
    const { blobs } = aggregator.aggregator;
    const fault = new Error('a fault');
    const write = blobs.write;
    blobs.write = async () => {
      throw new PluralError('WRITE_FAILED', '/a/path cannot be written', { cause: fault });
    };
    const bytes = Buffer.from(MARK);
    const digest = sha256(bytes);
    await send({ method: 'POST', path: run.path('/uploads'), body: { digest, size: bytes.byteLength } });
    expect(await send({ method: 'PUT', path: run.path(`/uploads/${digest}?offset=0`), body: bytes })).toBe(
      500,
    );
    blobs.write = write;
    // The log is where it is told whole.
    expect(log).toContain('/a/path cannot be written');
    expect(log).toContain('a fault');
    expectSilence();
  });

  test('of bytes that are no request', async () => {
    const address = await app.listen({ host: '127.0.0.1', port: 0 });
    const port = Number(new URL(address).port);
    const head = `GET / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ADMIN_KEY}\r\n`;
    const packets = [
      `${head}no colon here\r\n\r\n`,
      `${head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      `${head}x: ${'y'.repeat(100_000)}\r\n\r\n`,
      `${MARK}\r\n\r\n`,
    ];
    for (const packet of packets) expect(await answerTo(port, packet)).toMatch(/^HTTP\/1.1 4\d\d /);
    expectSilence();
  });
});

/** What comes back until the other side hangs up. */
function answerTo(port: number, packet: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(packet));
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
}

test('a line of the log is one line, whatever stands in a request', async () => {
  const before = log.length;
  await app.inject({ method: 'GET', url: '/x%0a{"level":60}\u2028' });
  await app.inject({ method: 'GET', url: '/y', headers: { 'user-agent': 'a\u001b[2J' } });
  const lines = log.slice(before).trim().split('\n');
  expect(lines).toHaveLength(2);
  for (const line of lines) expect(JSON.parse(line)).toMatchObject({ level: 30, code: 'ROUTE_UNKNOWN' });
});
