import { connect } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { ERROR_CODES } from '../../src/core/errors.ts';
import { type RandomStream, randomStream } from '../../src/core/random.ts';
import { diskBlobs } from '../../src/server/blobs/disk.ts';
import { identityOf } from '../../src/wire/identity.ts';
import { signRequest } from '../../src/wire/signed-request.ts';
import { temporaryFolder } from '../support/cli.ts';
import {
  asSent,
  type FuzzRequest,
  fuzzUpdate,
  goodCalls,
  mutateBytes,
  mutateCall,
  mutateSent,
  pick,
} from '../support/fuzz-requests.ts';
import { adminInject, refusalIn, type TestGroup, TestRun } from '../support/signed-inject.ts';
import { ADMIN_KEY, openTestAggregator, type TestAggregator, tinyPlan } from '../support/test-aggregator.ts';

/** Another seed plays other requests: FUZZ_SEED=7 npx vitest run test/server/fuzz.test.ts */
const SEED = Number(process.env['FUZZ_SEED'] ?? 1);
const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 10_000);
const WARM_UP = REQUESTS / 5;
const SOCKET_REQUESTS = 300;
/** What a leak of 10 kB a request would exceed, were half of the requests to leak. */
const MOST_GROWTH_BYTES = 0.5 * (REQUESTS - WARM_UP) * 10_000;

/** Codes of every layer: the door, the schemas, the signatures, what is inside an update, the state machine. */
const MUST_REACH = [
  ...['ROUTE_UNKNOWN', 'REQUEST_MALFORMED', 'REQUEST_UNSIGNED', 'SIGNATURE_INVALID', 'BODY_DIGEST'],
  ...['ADMIN_KEY_REQUIRED', 'CONFIG_INVALID', 'UPLOAD_INCOMPLETE', 'UPDATE_MALFORMED', 'UPDATE_LENGTH'],
  ...['UPDATE_NOT_FINITE', 'UPDATE_OUT_OF_RANGE', 'UPDATE_CHANGED', 'GROUP_NOT_ASKED'],
];

let aggregator: TestAggregator;
/** Where two groups wait for the end of the storm; eve joined too late to be asked. */
let main: TestRun;
/** Where eve is alone: what is good among her updates makes models. */
let arena: TestRun;
let sacrifice: TestRun;
let waiting: TestGroup[];
let eves: Map<TestRun, TestGroup>;
const statuses = new Map<string, number>();

beforeAll(async () => {
  const blobs = await diskBlobs(temporaryFolder());
  aggregator = await openTestAggregator({ blobs, limits: { chunkBytes: 16_384 } });
  main = await TestRun.create(aggregator, { name: 'main' });
  arena = await TestRun.create(aggregator, { name: 'arena', plan: tinyPlan({ quorum: 1 }, 1_000_000) });
  sacrifice = await TestRun.create(aggregator, { name: 'sacrifice', plan: tinyPlan({ quorum: 1 }) });
  waiting = [await main.join('ann'), await main.join('ben')];
  const eve = identityOf('e5'.repeat(32));
  eves = new Map([
    [main, await main.join('eve', eve)],
    [arena, await arena.join('eve', eve)],
  ]);
});
afterAll(() => aggregator.close());

const randomNonce = (random: RandomStream) =>
  Buffer.from(Uint8Array.from({ length: 16 }, () => random.below(256))).toString('hex');

function sign(random: RandomStream, request: FuzzRequest, { identity }: TestGroup): void {
  const signature = signRequest(identity, request, {
    audience: aggregator.aggregator.identity.publicKey,
    timeMs: aggregator.aggregator.clock.now(),
    nonce: randomNonce(random),
  });
  Object.assign(request.headers, signature);
}

/** Sends it, and holds the answer against what every answer must be. */
async function send(request: FuzzRequest, which: string): Promise<number> {
  const { method, path, headers, body } = request;
  const payload =
    body.byteLength === 0 || method === 'GET' || method === 'HEAD' ? {} : { payload: Buffer.from(body) };
  const response = await aggregator.app.inject({ method, url: path, headers, ...payload });
  const { statusCode: status } = response;
  const code = status < 400 ? 'ok' : refusalIn(response).code;
  statuses.set(`${status} ${code}`, (statuses.get(`${status} ${code}`) ?? 0) + 1);
  const good =
    status < 400 ||
    (method === 'HEAD' && status < 500) ||
    (status < 500 && ERROR_CODES.some((known) => known === code));
  if (!good) {
    const told = { method, path, headers, body: Buffer.from(body).toString('base64').slice(0, 2000) };
    throw new Error(
      `seed ${SEED}, ${which}: ${status} ${response.payload.slice(0, 300)}\n${JSON.stringify(told)}`,
    );
  }
  return status;
}

/** Begins, sends and submits bytes that are nearly an update: whatever they are, the signatures are right. */
async function playUpdate(random: RandomStream, run: TestRun, which: string): Promise<number> {
  const eve = eves.get(run)!;
  const { round, model } = await run.task(eve);
  const bytes = fuzzUpdate(random, run, eve, model.model, round);
  const digest = sha256(bytes);
  const calls = [
    { method: 'POST', path: run.path('/uploads'), body: { digest, size: bytes.byteLength } },
    { method: 'PUT', path: run.path(`/uploads/${digest}?offset=0`), body: bytes },
    { method: 'POST', path: run.path('/submissions'), body: { round, step: 0, digest } },
  ] as const;
  for (const { method, path, body } of calls) {
    const json = !(body instanceof Uint8Array);
    const request: FuzzRequest = {
      method,
      path,
      body: json ? Buffer.from(JSON.stringify(body)) : body,
      headers: { 'content-type': json ? 'application/json' : 'application/octet-stream' },
    };
    sign(random, request, eve);
    await send(request, `${which}, ${path}`);
  }
  return calls.length;
}

/** Makes one request; the answer is how many were sent. */
async function play(random: RandomStream, index: number): Promise<number> {
  const which = `request ${index}`;
  const run = pick(random, [main, arena]);
  const kind = random.below(20);
  if (kind < 2) return playUpdate(random, run, which);
  const good = goodCalls(random, run, sacrifice.run, tinyPlan());
  const of = kind < 5 ? 'admin' : kind < 7 ? 'open' : 'signed';
  const request = mutateCall(random, pick(random, good[of]));
  if (of === 'admin') request.headers['authorization'] = `Bearer ${ADMIN_KEY}`;
  if (of === 'signed') sign(random, request, eves.get(run)!);
  if (kind % 3 === 0) mutateSent(random, request);
  // The streams of events do not end; they are for the sockets.
  if (/\/events(\?|$)/.test(request.path)) return 0;
  await send(request, which);
  return 1;
}

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

function memory(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test(`${REQUESTS} mutated requests, seed ${SEED}: no crash, no 5xx, memory is flat`, async () => {
  const random = randomStream(SEED, 'fuzz');
  let sent = 0;
  let index = 0;
  while (sent < WARM_UP) sent += await play(random, index++);
  const before = memory();
  while (sent < REQUESTS) sent += await play(random, index++);
  const growth = memory() - before;
  expect(growth).toBeLessThan(MOST_GROWTH_BYTES);
  // Fuzzing that never gets anywhere would prove nothing.
  const reached = new Set([...statuses.keys()].map((key) => key.split(' ')[1]));
  expect([...reached]).toEqual(expect.arrayContaining(MUST_REACH));
  expect((await arena.status()).round).toBeGreaterThan(3);
  expect(Object.keys(Object.prototype)).toEqual([]);
}, 600_000);

function socketAnswer(port: number, packet: Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.end(packet));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      // The first line is enough, and some answers do not end.
      if (text.includes('\r\n')) socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
}

/** The bytes of a request, of which some are changed. */
function rawPacket(random: RandomStream, port: number): Uint8Array {
  const run = pick(random, [main, arena]);
  const good = goodCalls(random, run, sacrifice.run, tinyPlan());
  const { method, path, body } = pick(random, [
    ...good.signed,
    ...good.open,
    { method: 'GET', path: run.path('/events') } as const,
  ]);
  const request = mutateCall(random, { method, path: asSent(path), body });
  sign(random, request, eves.get(run)!);
  const length = pick(random, [request.body.byteLength, request.body.byteLength, 0, 5, -1, 1e20, '1, 2']);
  const more = pick(random, [
    '',
    '',
    'transfer-encoding: chunked\r\n',
    'content-length: 3\r\n',
    'expect: 100-continue\r\n',
    'upgrade: h2c\r\nconnection: upgrade\r\n',
    `x: ${'y'.repeat(20_000)}\r\n`,
    ' folded: x\r\n',
    'no colon\r\n',
    'a\0b: c\r\n',
  ]);
  const target = pick(random, [
    path,
    path,
    path,
    `http://127.0.0.1:${port}${path}`,
    `//127.0.0.1${path}`,
    '*',
    '',
    `${path}#x`,
    `/..${path}`,
    '/\u00ff',
  ]);
  const lines = Object.entries(request.headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
  const version = pick(random, ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/9.9', 'http/1.1', '']);
  const head = `${method} ${target} ${version}\r\nhost: x\r\ncontent-length: ${length}\r\n${lines.join('')}${more}\r\n`;
  const packet = Buffer.concat([Buffer.from(head, 'latin1'), request.body]);
  return random.below(2) === 0 ? packet : mutateBytes(random, packet);
}

test(`${SOCKET_REQUESTS} broken requests over a socket, seed ${SEED}: refused, or hung up on`, async () => {
  const random = randomStream(SEED, 'fuzz', 'sockets');
  const port = Number(new URL(await aggregator.app.listen({ host: '127.0.0.1', port: 0 })).port);
  const counts = { closed: 0, refused: 0, answered: 0 };
  for (let index = 0; index < SOCKET_REQUESTS; index++) {
    const packet = rawPacket(random, port);
    const answer = await socketAnswer(port, packet);
    const told = `seed ${SEED}, packet ${index}: ${answer.slice(0, 200)}\n${Buffer.from(packet).toString('latin1').slice(0, 3000)}`;
    expect(answer, told).toMatch(/^$|^HTTP\/1\.1 [1-4]\d\d /);
    counts[answer === '' ? 'closed' : /^HTTP\/1\.1 4/.test(answer) ? 'refused' : 'answered']++;
  }
  expect(counts.refused).toBeGreaterThan(SOCKET_REQUESTS / 4);
  expect((await aggregator.app.inject('/healthz')).statusCode).toBe(200);
});

test('after all that, the two groups that waited finish their round', async () => {
  await adminInject(aggregator, { method: 'DELETE', path: `/v1/admin/runs/${main.run}/groups/eve` });
  for (const group of waiting) await main.takePart(group);
  await main.folded(1);
  expect(await main.status()).toMatchObject({ phase: 'collecting', round: 2 });
  expect(aggregator.failures).toEqual([]);
});
