import { describe, expect, test } from 'vitest';
import { AdminApi } from '../../src/client/admin-api.ts';
import { AggregatorApi } from '../../src/client/api.ts';
import { once, retryWith } from '../../src/client/retry.ts';
import type { Transport, TransportAnswer, TransportRequest } from '../../src/client/transport.ts';
import { PluralError } from '../../src/core/errors.ts';
import { identityOf } from '../../src/wire/identity.ts';
import { CLOCK_TOLERANCE_MS, SIGNATURE_HEADERS } from '../../src/wire/signed-request.ts';
import { FakeAggregator } from './fake-aggregator.ts';

const identity = identityOf('33'.repeat(32));

function apiOf(
  aggregator: FakeAggregator,
  options: { transport?: Transport; now?: () => number; retry?: typeof once } = {},
) {
  aggregator.enrol('g', identity.publicKey);
  const { transport = aggregator.transport, now = Date.now, retry = once } = options;
  return new AggregatorApi({
    transport,
    identity,
    aggregatorKey: aggregator.identity.publicKey,
    run: aggregator.definition.run,
    retry,
    clock: { now },
  });
}

const impatient = retryWith({ patienceMs: 100, sleep: async () => undefined });

/** Answers the task with this, and all else as the aggregator does. */
function answering(aggregator: FakeAggregator, answer: Partial<TransportAnswer>): Transport {
  const json = { 'content-type': 'application/json' };
  return async (request) =>
    request.path.endsWith('/task')
      ? { status: 200, headers: json, body: new Uint8Array(), ...answer }
      : aggregator.transport(request);
}

const text = (content: unknown) => Buffer.from(JSON.stringify(content));
const refusal = (code: string, message = 'no', hint: string | null = null) =>
  text({ error: { code, message, hint } });

describe('errors', () => {
  const aggregator = new FakeAggregator({ parameters: 5, rounds: 1 });

  test.each<[string, Partial<TransportAnswer>, string]>([
    ['a known code', { status: 403, body: refusal('KEY_REVOKED') }, 'KEY_REVOKED'],
    ['an unknown code', { status: 400, body: refusal('NEVER_HEARD') }, 'AGGREGATOR_FAILED'],
    ['a fault of the server', { status: 500, body: refusal('INTERNAL') }, 'AGGREGATOR_FAILED'],
    [
      'a code that would end this process',
      { status: 400, body: refusal('INTERRUPTED') },
      'AGGREGATOR_FAILED',
    ],
    ["a proxy's page", { status: 502, body: Buffer.from('<html>') }, 'AGGREGATOR_UNREACHABLE'],
    ['a page in place of an answer', { status: 200, body: Buffer.from('<html>') }, 'AGGREGATOR_UNREACHABLE'],
    ['an answer that is cut off', { body: Buffer.from('{"phase": "wai') }, 'AGGREGATOR_UNREACHABLE'],
    ['an empty answer', { body: new Uint8Array() }, 'AGGREGATOR_UNREACHABLE'],
    ['an answer of another version', { body: text({ phase: 'waiting' }) }, 'AGGREGATOR_FAILED'],
    ['an unknown phase', { body: text({ phase: 'dreaming' }) }, 'AGGREGATOR_FAILED'],
  ])('%s', async (_, answer, code) => {
    const api = apiOf(aggregator, { transport: answering(aggregator, answer) });
    await expect(api.task()).rejects.toMatchObject({ code });
  });

  test('keep message and hint, without what could take over a terminal', async () => {
    const body = refusal('KEY_REVOKED', 'the key\u001b[2J was\nrevoked', 'ask\u0007 them');
    const api = apiOf(aggregator, { transport: answering(aggregator, { status: 403, body }) });
    const error = { message: 'the key [2J was revoked', hint: 'ask  them' };
    await expect(api.task()).rejects.toMatchObject(error);
  });

  test('say how long to wait', async () => {
    const headers = { 'retry-after': '7' };
    const answer = { status: 429, headers, body: refusal('RATE_LIMITED') };
    const api = apiOf(aggregator, { transport: answering(aggregator, answer) });
    await expect(api.task()).rejects.toMatchObject({ cause: { status: 429, retryAfterMs: 7000 } });
  });
});

describe('signed requests', () => {
  test('each attempt has a nonce of its own', async () => {
    const aggregator = new FakeAggregator({ parameters: 5, rounds: 1 });
    const nonces: (string | undefined)[] = [];
    let lost = 3;
    const api = apiOf(aggregator, {
      retry: retryWith({ patienceMs: Number.POSITIVE_INFINITY, sleep: async () => undefined }),
      transport: async (request) => {
        const answer = await aggregator.transport(request);
        if (!request.path.endsWith('/task')) return answer;
        nonces.push(request.headers[SIGNATURE_HEADERS.nonce]);
        // The aggregator has seen the nonce; its answer is lost.
        if (lost-- > 0) throw new PluralError('AGGREGATOR_UNREACHABLE', 'lost');
        return answer;
      },
    });
    await api.task();
    expect(nonces).toHaveLength(4);
    expect(new Set(nonces).size).toBe(4);
  });

  test('a replay that the network made is answered by signing anew', async () => {
    const aggregator = new FakeAggregator({ parameters: 5, rounds: 1 });
    let twice = 1;
    const api = apiOf(aggregator, {
      retry: impatient,
      transport: async (request) => {
        const answer = await aggregator.transport(request);
        // The answer to the second copy overtakes that to the first.
        return request.path.endsWith('/task') && twice-- > 0 ? aggregator.transport(request) : answer;
      },
    });
    await expect(api.task()).resolves.toMatchObject({ phase: 'waiting' });
  });

  test.each([-86_400_000, -CLOCK_TOLERANCE_MS - 1, CLOCK_TOLERANCE_MS + 1, 86_400_000])(
    'a clock that is off by %i ms is made up for',
    async (offset) => {
      const aggregator = new FakeAggregator({ parameters: 5, rounds: 1 });
      const api = apiOf(aggregator, { now: () => Date.now() + offset });
      await expect(api.task()).resolves.toMatchObject({ phase: 'waiting' });
    },
  );

  test('a clock that is set in between is compared again, once', async () => {
    let serverOffset = 0;
    const now = () => Date.now() + serverOffset;
    const aggregator = new FakeAggregator({ parameters: 5, rounds: 1, now });
    const api = apiOf(aggregator);
    await api.task();
    serverOffset = 3 * CLOCK_TOLERANCE_MS;
    await api.task();
    const asked = aggregator.log.filter((line) => line === 'GET /v1/aggregator');
    expect(asked).toHaveLength(2);
  });

  test('also where it is part of a model that is asked for', async () => {
    let serverOffset = 0;
    const now = () => Date.now() + serverOffset;
    const aggregator = new FakeAggregator({ parameters: 5, rounds: 1, now });
    const api = apiOf(aggregator);
    await api.task();
    serverOffset = 3 * CLOCK_TOLERANCE_MS;
    expect(await api.parametersPart(0, 0, 8)).toHaveLength(8);
  });

  test('an aggregator whose clock contradicts itself is not asked for ever', async () => {
    const aggregator = new FakeAggregator({ parameters: 5, rounds: 1 });
    aggregator.tamper = ({ path }, content) =>
      path === '/v1/aggregator' ? { ...(content as object), timeMs: 1 } : content;
    const api = apiOf(aggregator, { retry: impatient });
    await expect(api.task()).rejects.toMatchObject({ code: 'CLOCK_SKEWED' });
  });

  test('nothing is signed for another aggregator', async () => {
    const aggregator = new FakeAggregator({ parameters: 5, rounds: 1 });
    aggregator.tamper = ({ path }, content) =>
      path === '/v1/aggregator' ? { ...(content as object), publicKey: 'd'.repeat(64) } : content;
    const api = apiOf(aggregator);
    await expect(api.task()).rejects.toMatchObject({ code: 'AGGREGATOR_UNTRUSTED' });
    expect(aggregator.log).toEqual(['GET /v1/aggregator']);
  });
});

describe('parts of a model', () => {
  test.each<[string, Partial<TransportAnswer>]>([
    ['of another type', { headers: { 'content-type': 'text/html' }, body: Buffer.from('0123') }],
    ['of no bytes', { headers: { 'content-type': 'application/octet-stream' }, body: new Uint8Array() }],
    ['longer than asked', { headers: { 'content-type': 'application/octet-stream' }, body: Buffer.alloc(9) }],
  ])('%s count as a broken transfer', async (_, answer) => {
    const aggregator = new FakeAggregator({ parameters: 5, rounds: 1 });
    const transport: Transport = async (request) =>
      request.path.includes('/parameters')
        ? { status: 200, headers: {}, body: new Uint8Array(), ...answer }
        : aggregator.transport(request);
    const part = apiOf(aggregator, { transport }).parametersPart(0, 0, 8);
    await expect(part).rejects.toMatchObject({ code: 'AGGREGATOR_UNREACHABLE' });
  });
});

describe('the admin routes', () => {
  /** Notes what is asked and answers the same to all of it. */
  function recorded(content: unknown, failures = 0) {
    const asked: TransportRequest[] = [];
    let left = failures;
    const transport: Transport = async (request) => {
      asked.push(request);
      if (left-- > 0) throw new PluralError('AGGREGATOR_UNREACHABLE', 'lost');
      return { status: 200, headers: {}, body: text(content) };
    };
    const api = new AdminApi({ transport, retry: impatient, adminKey: 'the key' });
    const lines = () =>
      asked.map(({ method, path, headers, body }) => ({
        line: `${method} ${path}`,
        key: headers['authorization'],
        content: body.byteLength === 0 ? null : JSON.parse(Buffer.from(body).toString('utf8')),
      }));
    return { api, lines };
  }

  test('are asked with the key, and with what they take', async () => {
    const { api, lines } = recorded({ done: true });
    await api.start('a-run');
    await api.stop('a-run');
    await api.allow('a-run', 'a/b c', 'e'.repeat(64));
    await api.revoke('a-run', 'a/b c');
    const key = 'Bearer the key';
    expect(lines()).toEqual([
      { line: 'POST /v1/admin/runs/a-run/start', key, content: null },
      { line: 'POST /v1/admin/runs/a-run/stop', key, content: null },
      {
        line: 'POST /v1/admin/runs/a-run/keys',
        key,
        content: { group: 'a/b c', publicKey: 'e'.repeat(64) },
      },
      { line: 'DELETE /v1/admin/runs/a-run/groups/a%2Fb%20c', key, content: null },
    ]);
  });

  test('answers are parsed', async () => {
    const invited = { run: 'a-run', tokens: ['t'], expiresAt: 5 };
    const { api } = recorded(invited);
    const request = { group: null, count: 1, expiresInMs: 1000 };
    expect(await api.invite('a-run', request)).toEqual(invited);
    await expect(api.status('a-run')).rejects.toMatchObject({ code: 'AGGREGATOR_FAILED' });
  });

  test('public routes are asked without the key', async () => {
    const { api, lines } = recorded({ runs: [] });
    expect(await api.runs()).toEqual([]);
    expect(lines()).toEqual([{ line: 'GET /v1/runs', key: undefined, content: null }]);
  });

  test('are asked again after trouble, except for what must happen once', async () => {
    const started = recorded({ done: true }, 1);
    await started.api.start('a-run');
    expect(started.lines()).toHaveLength(2);
    const created = recorded({ run: 'a-run', digest: 'f'.repeat(64) }, 1);
    const { plan } = new FakeAggregator({ parameters: 5, rounds: 1 }).definition;
    const creating = created.api.createRun({ name: 'a-run', plan });
    await expect(creating).rejects.toMatchObject({ code: 'AGGREGATOR_UNREACHABLE' });
    expect(created.lines()).toHaveLength(1);
  });
});
