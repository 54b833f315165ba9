import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildApp } from '../../src/server/app.ts';
import { invite } from '../../src/server/invitations.ts';
import { SIGNATURE_HEADERS } from '../../src/wire/signed-request.ts';
import {
  adminInject,
  type Call,
  refusalIn,
  type TestGroup,
  TestRun,
  type Twist,
} from '../support/signed-inject.ts';
import { freshIdentity, openTestAggregator, type TestAggregator } from '../support/test-aggregator.ts';

const PER_ADDRESS = 6;
let aggregator: TestAggregator;
let run: TestRun;
let ann: TestGroup;
let addresses = 0;

beforeAll(async () => {
  aggregator = await openTestAggregator({ limits: { anonymousPerMinute: PER_ADDRESS } });
  run = await TestRun.create(aggregator);
  ann = await run.join('ann');
});
afterAll(() => aggregator.close());

/** An address that nobody asked from before. */
function freshAddress(): string {
  return `10.0.0.${++addresses}`;
}

/** How many of so many requests are answered with something else than RATE_LIMITED. */
async function answered(
  count: number,
  send: (index: number) => PromiseLike<{ statusCode: number }>,
): Promise<number> {
  let free = 0;
  for (let index = 0; index < count; index++) if ((await send(index)).statusCode !== 429) free++;
  return free;
}

const TASK = (): Call => ({ method: 'GET', path: run.path('/task') });

describe('what counts for an address', () => {
  const stranger = (): string => freshIdentity().publicKey;
  const unsigned = (twist: (index: number) => Twist) => (remoteAddress: string) => (index: number) =>
    run.send(ann, TASK(), { ...twist(index), remoteAddress });
  const plain =
    (method: 'GET' | 'POST' | 'OPTIONS', url: string, headers: () => Record<string, string> = () => ({})) =>
    (remoteAddress: string) =>
    () =>
      aggregator.app.inject({ method, url, remoteAddress, headers: headers() });

  test.each<[string, (address: string) => (index: number) => PromiseLike<{ statusCode: number }>]>([
    ['what anybody may read', plain('GET', '/v1/runs')],
    [
      'the same under other keys each time',
      plain('GET', '/v1/runs', () => ({ [SIGNATURE_HEADERS.key]: stranger() })),
    ],
    ['pages', plain('GET', '/')],
    ['figures', plain('GET', '/metrics')],
    ['what is not there', plain('GET', '/nothing')],
    ['other methods', plain('OPTIONS', '/v1/runs')],
    [
      'guesses of the admin key',
      plain('POST', '/v1/admin/runs', () => ({ authorization: `Bearer ${stranger()}` })),
    ],
    ['no signature', unsigned(() => ({ headers: { [SIGNATURE_HEADERS.signature]: null } }))],
    ['wrong signatures', unsigned(() => ({ audience: stranger() }))],
    ['stale requests', unsigned(() => ({ timeMs: 1 }))],
    [
      'right signatures of keys that are in no run',
      (remoteAddress) => () => run.send({ identity: freshIdentity() }, TASK(), { remoteAddress }),
    ],
    [
      'keys without an invitation',
      (remoteAddress) => () =>
        run.send(
          { identity: freshIdentity() },
          { method: 'POST', path: run.path('/groups'), body: { group: 'x', token: null } },
          { remoteAddress },
        ),
    ],
  ])('%s', async (_, from) => {
    expect(await answered(2 * PER_ADDRESS, from(freshAddress()))).toBe(PER_ADDRESS);
  });

  test('the answer says how long to wait', async () => {
    const remoteAddress = freshAddress();
    const ask = () => aggregator.app.inject({ method: 'GET', url: '/v1/runs', remoteAddress });
    await answered(PER_ADDRESS, ask);
    const response = await ask();
    expect(refusalIn(response)).toEqual({ status: 429, code: 'RATE_LIMITED' });
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
    expect(Number(response.headers['retry-after'])).toBeLessThanOrEqual(60);
  });

  test('a network of IPv6 is one address', async () => {
    const send = (index: number) =>
      aggregator.app.inject({ method: 'GET', url: '/v1/runs', remoteAddress: `2001:db8:0:1::${index}` });
    expect(await answered(2 * PER_ADDRESS, send)).toBe(PER_ADDRESS);
  });

  test('no header moves a request to another address, unless there is a proxy, which adds the last one', async () => {
    const forwarded = (chain: (index: number) => string, remoteAddress: string) => (index: number) => ({
      method: 'GET' as const,
      url: '/v1/runs',
      remoteAddress,
      headers: {
        'x-forwarded-for': chain(index),
        forwarded: `for=10.9.9.${index}`,
        'x-real-ip': `10.9.9.${index}`,
      },
    });
    const alone = forwarded((index) => `10.9.9.${index}`, freshAddress());
    expect(await answered(2 * PER_ADDRESS, (index) => aggregator.app.inject(alone(index)))).toBe(PER_ADDRESS);

    const logger = pino({ level: 'silent' });
    const behindProxy = await buildApp(aggregator.services, { tls: null, trustProxy: true, logger });
    const invented = forwarded((index) => `10.9.8.${index}, 192.0.2.1`, freshAddress());
    expect(await answered(2 * PER_ADDRESS, (index) => behindProxy.inject(invented(index)))).toBe(PER_ADDRESS);
    const many = forwarded((index) => `192.0.2.1, 10.9.7.${index}`, freshAddress());
    expect(await answered(2 * PER_ADDRESS, (index) => behindProxy.inject(many(index)))).toBe(2 * PER_ADDRESS);
    await behindProxy.close();
  });
});

describe('what does not', () => {
  test('a group is answered though its address has asked too much', async () => {
    const remoteAddress = freshAddress();
    await answered(2 * PER_ADDRESS, () =>
      aggregator.app.inject({ method: 'GET', url: '/v1/runs', remoteAddress }),
    );
    expect(await answered(20, () => run.send(ann, TASK(), { remoteAddress }))).toBe(20);
  });

  test('those who join with an invitation, however many of one address', async () => {
    const { tokens } = await invite(aggregator.aggregator, run.run, {
      group: null,
      count: 20,
      expiresInMs: 60_000,
    });
    const remoteAddress = freshAddress();
    const join = (index: number) => {
      const body = { group: `guest ${index}`, token: tokens[index] };
      return run.send(
        { identity: freshIdentity() },
        { method: 'POST', path: run.path('/groups'), body },
        { remoteAddress },
      );
    };
    expect(await answered(20, join)).toBe(20);
  });
});

describe('what counts for a key', () => {
  test('what it signed, and nothing that names it without its signature', async () => {
    const strict = await openTestAggregator({ limits: { perKeyPerMinute: 10 } });
    const own = await TestRun.create(strict);
    const anna = await own.join('anna');
    const bert = await own.join('bert');
    const call: Call = { method: 'GET', path: own.path('/task') };
    const { publicKey } = anna.identity;
    for (let i = 0; i < 20; i++) {
      await strict.app.inject({
        method: 'GET',
        url: '/v1/runs',
        headers: { [SIGNATURE_HEADERS.key]: publicKey },
      });
      await own.send(bert, call, { headers: { [SIGNATURE_HEADERS.key]: publicKey } });
    }
    expect(await answered(20, () => own.send(anna, call))).toBe(10);
    expect(await answered(20, () => own.send(bert, call))).toBe(10);
    await strict.close();
  });

  test('at most 32 requests that are not answered yet, and none of them for ever', async () => {
    for (let turn = 0; turn < 2; turn++) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => run.send(ann, TASK())));
      const codes = answers.map(({ statusCode }) => statusCode);
      expect(codes.filter((code) => code === 200).length).toBe(32);
      expect(codes.filter((code) => code === 429).length).toBe(18);
    }
    expect((await run.send(ann, TASK())).statusCode).toBe(200);
  });
});

describe('event streams', () => {
  const open: ClientRequest[] = [];
  let port = 0;
  let streaming: TestAggregator;
  let path = '';

  beforeAll(async () => {
    streaming = await openTestAggregator();
    path = (await TestRun.create(streaming)).path('/events');
    const address = await streaming.app.listen({ host: '127.0.0.1', port: 0 });
    port = Number(new URL(address).port);
  });
  afterAll(async () => {
    for (const request of open) request.destroy();
    await streaming.close();
  });

  function stream(
    options: { method?: string; headers?: Record<string, string> } = {},
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = get({ host: '127.0.0.1', port, path, agent: false, ...options }, resolve);
      request.on('error', reject);
      open.push(request);
    });
  }

  async function openStreams(): Promise<number> {
    const { payload } = await streaming.app.inject('/metrics');
    return Number(/^pluralllm_event_streams (\d+)$/m.exec(payload)?.[1]);
  }

  async function until(holds: () => Promise<boolean>): Promise<void> {
    while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  test('one address has at most 32, and gets a new one for each that it closes', async () => {
    const first = await Promise.all(Array.from({ length: 32 }, () => stream()));
    expect(first.map(({ statusCode }) => statusCode)).toEqual(Array(32).fill(200));
    expect((await stream()).statusCode).toBe(429);
    expect(await openStreams()).toBe(32);
    for (const message of first) message.destroy();
    await until(async () => (await openStreams()) === 0);
    const again = await stream();
    expect(again.statusCode).toBe(200);
    again.destroy();
    await until(async () => (await openStreams()) === 0);
  });

  test('one that only asks for the head is over at once', async () => {
    const response = await stream({ method: 'HEAD' });
    expect(response.statusCode).toBe(200);
    await until(async () => (await openStreams()) === 0);
  });

  test.each(['999999999999999', '2147483648', '-1', '1e3', '0x10', "1' or 1=1", ''])(
    'one that goes on behind event %j begins',
    async (id) => {
      const message = await stream({ headers: { 'last-event-id': id } });
      expect(message.statusCode).toBe(200);
      const [first] = await message.take(1).toArray();
      expect(String(first)).toContain('retry: 2000');
      message.destroy();
    },
  );
});

test('admin calls are counted too', async () => {
  const path = `/v1/admin/runs/${run.run}/start`;
  const codes = [];
  for (let i = 0; i < PER_ADDRESS + 1; i++)
    codes.push((await adminInject(aggregator, { method: 'POST', path })).statusCode);
  expect(codes).toContain(429);
});
