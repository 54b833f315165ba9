import { encode } from 'cborg';
import type { InjectOptions } from 'fastify';
import { sha256 } from '../../src/core/digest.ts';
import type { RandomStream } from '../../src/core/random.ts';
import type { RunPlan } from '../../src/wire/run-definition.ts';
import { type Call, encodedUpdate, payloadOf, type TestGroup, type TestRun } from './signed-inject.ts';

/** Makes requests out of good ones, as a function of the random stream and of what is there. */

type Method = NonNullable<InjectOptions['method']>;

/** What a request is made of: bytes, and headers that may be anything. */
export interface FuzzRequest {
  method: Method;
  path: string;
  body: Uint8Array;
  headers: Record<string, string | string[]>;
}

export function pick<Item>(random: RandomStream, items: readonly Item[]): Item {
  return items[random.below(items.length)]!;
}

/** Values that programs take for something else than they are. */
const ODD_VALUES: readonly unknown[] = [
  null,
  true,
  false,
  -1,
  0,
  1,
  0.5,
  -0,
  1e308,
  -1e308,
  5e-324,
  2 ** 31,
  2 ** 53,
  2 ** 63,
  '',
  ' ',
  '0',
  '1',
  'null',
  'NaN',
  'a'.repeat(300),
  'a'.repeat(5000),
  '\0',
  '\ud800',
  '\u202e',
  '__proto__',
  'constructor',
  'toString',
  '../..',
  '%00',
  "' or 1=1 --",
  '00'.repeat(32),
  'ff'.repeat(32),
  [],
  {},
  [[]],
  [null],
  [1, 2, 3],
  { length: 1e9 },
  { toString: 1 },
  { constructor: { prototype: { x: 1 } } },
];

const ODD_SEGMENTS = [
  '',
  '.',
  '..',
  '%2e%2e',
  '%2f',
  '%00',
  '%zz',
  '%',
  '*',
  ':run',
  'me',
  'main',
  'arena',
  'MAIN',
  'a'.repeat(2000),
  '\u00e9',
  '😀',
  '%ed%a0%80',
  '__proto__',
  'constructor',
  '999999999999999',
  '-1',
  '0',
  "'",
  '"',
  '<',
  '{}',
  ';',
  '@',
  '~',
  '1;x=2',
];

const METHODS: readonly Method[] = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH'];

/** A path as a client sends it, and as `inject` makes one of it. */
export function asSent(path: string): string {
  const { pathname, search } = new URL(`http://localhost${path.startsWith('/') ? '' : '/'}${path}`);
  return pathname + search;
}

function flipBytes(random: RandomStream, bytes: Uint8Array): Uint8Array {
  const flipped = Uint8Array.from(bytes);
  for (let flips = 1 + random.below(4); flips > 0 && flipped.length > 0; flips--) {
    flipped[random.below(flipped.length)]! ^= 1 << random.below(8);
  }
  return flipped;
}

/** Bytes changed, cut, doubled, or others altogether. */
export function mutateBytes(random: RandomStream, bytes: Uint8Array): Uint8Array {
  const at = random.below(bytes.length + 1);
  switch (random.below(6)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return Buffer.concat([bytes.subarray(0, at), Uint8Array.of(random.below(256)), bytes.subarray(at)]);
    case 2:
      return Buffer.concat([bytes, bytes.subarray(at)]);
    case 3:
      return Uint8Array.from({ length: random.below(200) }, () => random.below(256));
    default:
      return flipBytes(random, bytes);
  }
}

/** A value with something odd at some place in it. */
function mutateValue(random: RandomStream, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || random.below(6) === 0) return pick(random, ODD_VALUES);
  const entries = Object.entries(value);
  const at = random.below(entries.length + 1);
  if (at === entries.length)
    return Object.fromEntries([
      ...entries,
      [pick(random, ['extra', 'constructor', '']), pick(random, ODD_VALUES)],
    ]);
  const [key, member] = entries[at]!;
  if (random.below(6) === 0) return Object.fromEntries(entries.filter(([other]) => other !== key));
  const changed = entries.map(([other, kept]) => [other, other === key ? mutateValue(random, member) : kept]);
  return Array.isArray(value) ? changed.map(([, item]) => item) : Object.fromEntries(changed);
}

/** JSON text of which some is not what `JSON.stringify` writes. */
function mutateJson(random: RandomStream, body: unknown): Uint8Array {
  const text = JSON.stringify(mutateValue(random, body)) ?? '';
  switch (random.below(8)) {
    case 0:
      return Buffer.from(text.replace('{', '{"__proto__":{"admin":true},'));
    case 1:
      return Buffer.from(
        text.replace(/\d+/, pick(random, ['1e999', '-1e999', '9'.repeat(400), '1e-999', '0x10', '01'])),
      );
    case 2:
      return Buffer.from(`${'['.repeat(3000)}${text}${']'.repeat(3000)}`);
    case 3:
      return mutateBytes(random, Buffer.from(text));
    default:
      return Buffer.from(text);
  }
}

function mutatePath(random: RandomStream, path: string): string {
  const [route = '', query] = path.split('?');
  const segments = route.split('/');
  switch (random.below(5)) {
    case 0:
      segments.splice(1 + random.below(segments.length), 0, pick(random, ODD_SEGMENTS));
      break;
    case 1:
      segments.splice(random.below(segments.length), 1);
      break;
    case 2:
      return `${route}?${pick(random, ['offset', 'after', 'length', 'attempt', '__proto__', ''])}=${pick(random, ODD_SEGMENTS)}&${query ?? ''}`;
    default:
      segments[1 + random.below(Math.max(1, segments.length - 1))] = pick(random, ODD_SEGMENTS);
  }
  return segments.join('/') + (query === undefined ? '' : `?${query}`);
}

/** A request that says something odd, before it is signed. */
export function mutateCall(random: RandomStream, { method, path, body }: Call): FuzzRequest {
  const { bytes, type } = payloadOf(body);
  const headers = type === null ? {} : { 'content-type': type };
  const made: FuzzRequest = { method, path: asSent(path), body: bytes, headers };
  const what = random.below(10);
  if (what === 9) return made;
  if (what === 0) made.method = pick(random, METHODS);
  if (what <= 2) made.path = asSent(mutatePath(random, path));
  else if (body instanceof Uint8Array) made.body = mutateBytes(random, body);
  else if (body !== undefined) made.body = mutateJson(random, body);
  if (random.below(20) === 0)
    made.headers = {
      'content-type': pick(random, ['text/plain', 'application/json; charset=utf-7', 'a/b', '*/*', '']),
    };
  return made;
}

/** A request that was changed on its way, after it was signed. */
export function mutateSent(random: RandomStream, request: FuzzRequest): void {
  const names = Object.keys(request.headers);
  const name = names.length === 0 ? 'x' : pick(random, names);
  const value = String(request.headers[name] ?? '');
  switch (random.below(7)) {
    case 0:
      delete request.headers[name];
      return;
    case 1:
      request.headers[name] = [value, value];
      return;
    case 2:
      request.headers[name] = Buffer.from(mutateBytes(random, Buffer.from(value))).toString('latin1');
      return;
    case 3:
      request.headers[name] = JSON.stringify(pick(random, ODD_VALUES));
      return;
    case 4:
      request.method = pick(random, METHODS);
      return;
    case 5:
      request.path = asSent(mutatePath(random, request.path));
      return;
    default:
      request.body = mutateBytes(random, request.body);
  }
}

/** Bytes to upload: an update that is nearly good, or CBOR of something else. */
export function fuzzUpdate(
  random: RandomStream,
  run: TestRun,
  member: TestGroup,
  model: string,
  round: number,
): Uint8Array {
  const { parameters, digest } = run;
  const weight = pick(random, [1, 1, 1, 0, -1, Number.NaN, 2 ** 20, 1e300]);
  const value = pick(random, [0.1, 0.1, 0.1, Number.NaN, Number.POSITIVE_INFINITY, 1e30]);
  const good = { group: member.group, round, run: digest, model, parameters, weight, value };
  switch (random.below(5)) {
    case 0:
      return encode(
        mutateValue(random, {
          format: 2,
          run: digest,
          group: 'x',
          round,
          step: 0,
          model,
          protection: 'none',
          payload: new Uint8Array(8),
        }),
      );
    case 1:
      return encode(pick(random, ODD_VALUES));
    case 2:
      return encodedUpdate({ ...good, parameters: random.below(2 * parameters) }).bytes;
    case 3:
      return encodedUpdate(good).bytes;
    default:
      return mutateBytes(random, encodedUpdate(good).bytes);
  }
}

/** Odd in a section that makes nothing large: the size of a predictor is the admin's to choose. */
function oddConfig(random: RandomStream, { config }: RunPlan): unknown {
  const section = pick(random, ['data', 'training', 'compare', 'seed', 'nonsense']);
  return { ...config, [section]: mutateValue(random, config[section]) };
}

/** Good requests of a group, of anybody, and of the admin, to begin with. */
export function goodCalls(
  random: RandomStream,
  run: TestRun,
  sacrifice: string,
  plan: RunPlan,
): { signed: Call[]; open: Call[]; admin: Call[] } {
  const digest = sha256(String(random.below(50)));
  const admin = `/v1/admin/runs/${sacrifice}`;
  return {
    signed: [
      { method: 'GET', path: run.path('/task') },
      { method: 'GET', path: run.path('/shown?round=1&attempt=1&step=0') },
      { method: 'GET', path: run.path('/definition') },
      { method: 'GET', path: run.path('/models?after=-1') },
      { method: 'GET', path: run.path('/models/0/parameters?offset=0&length=100') },
      { method: 'POST', path: run.path('/uploads'), body: { digest, size: 1 + random.below(300) } },
      {
        method: 'PUT',
        path: run.path(`/uploads/${digest}?offset=${random.below(3) * 10}`),
        body: Buffer.alloc(10, random.below(256)),
      },
      { method: 'POST', path: run.path('/submissions'), body: { round: 1, step: 0, digest } },
      {
        method: 'POST',
        path: run.path('/scores'),
        body: { round: 0, model: digest, alignment: 0.5, questions: 3, loss: 1 },
      },
      { method: 'POST', path: run.path('/groups'), body: { group: 'eve', token: null } },
    ],
    open: [
      '/',
      '/v1/runs',
      '/v1/aggregator',
      '/healthz',
      '/metrics',
      '/openapi.json',
      '/page/page.js',
      run.path(''),
      run.path('/nothing'),
    ].map((path) => ({ method: 'GET', path })),
    admin: [
      { method: 'POST', path: '/v1/admin/runs', body: { name: 'fuzz', plan } },
      {
        method: 'POST',
        path: '/v1/admin/runs',
        body: { name: 'odd', plan: { ...plan, config: oddConfig(random, plan) } },
      },
      { method: 'POST', path: `${admin}/start` },
      { method: 'POST', path: `${admin}/stop` },
      { method: 'POST', path: `${admin}/invitations`, body: { group: null, count: 2, expiresInMs: 5000 } },
      { method: 'POST', path: `${admin}/keys`, body: { group: 'x', publicKey: 'ab'.repeat(32) } },
      { method: 'DELETE', path: `${admin}/groups/x` },
    ],
  };
}
