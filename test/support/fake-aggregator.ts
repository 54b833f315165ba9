import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { PAGE_HEADERS, pageAssets } from '../../src/server/page-assets.ts';
import {
  aggregatorSchema,
  inviteAnswerSchema,
  inviteRequestSchema,
  type RunStatus,
  runListSchema,
  runStatusSchema,
  runSummarySchema,
} from '../../src/wire/http.ts';
import { digestLike } from './status-fixture.ts';

/** The aggregator as the status page sees it: the real assets and headers, made-up runs, a real event stream. */

export const ADMIN_KEY = 'correct-horse-battery-staple';
export const AGGREGATOR_KEY = digestLike('aggregator');

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const refused = (status: number, code: string, message: string, hint: string | null): Answer => ({
  status,
  body: { error: { code, message, hint } },
});

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

function send(response: ServerResponse, { status, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export class FakeAggregator {
  readonly seen: SeenRequest[] = [];
  readonly runs = new Map<string, RunStatus>();
  /** Whether event streams are answered with 503. */
  streamsRefused = false;
  #server: Server;
  #streams = new Set<ServerResponse>();
  #sequence = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((thrown) => {
        send(response, refused(500, 'INTERNAL', String(thrown), null));
      });
    });
  }

  /** Listens on loopback, on a free port unless one is given; returns the origin. */
  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return `http://127.0.0.1:${address.port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Sets what the aggregator says of a run; refuses what it could not say. */
  set(status: RunStatus): void {
    this.runs.set(status.run, runStatusSchema.parse(status));
  }

  /** Open event streams. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Tells all who follow a run. */
  push(type: string, data: object): void {
    this.#sequence++;
    const text = `id: ${this.#sequence}\nevent: ${type}\ndata: ${JSON.stringify({ at: Date.now(), ...data })}\n\n`;
    for (const stream of this.#streams) stream.write(text);
  }

  /** Breaks all event streams, as a network does. */
  dropStreams(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  /** How often a path was asked for. */
  count(path: string): number {
    return this.seen.filter((request) => request.path === path).length;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const path = url.split('?')[0] ?? '';
    const body = await textOf(request);
    this.seen.push({ method, path, authorization: headers.authorization, body });
    const asset = pageAssets().find((candidate) => candidate.path === path);
    if (asset !== undefined) {
      response.writeHead(200, { ...PAGE_HEADERS, 'content-type': asset.contentType }).end(asset.bytes);
    } else if (path.endsWith('/events') && !this.streamsRefused && this.#runAt(path) !== undefined) {
      this.#stream(response);
    } else if (path.startsWith('/v1/admin/')) {
      send(response, this.#administer(method, path, headers.authorization, body));
    } else {
      send(response, this.#read(path));
    }
  }

  #stream(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write('retry: 1000\n\n');
    this.#streams.add(response);
    response.on('close', () => this.#streams.delete(response));
  }

  #runAt(path: string): RunStatus | undefined {
    return this.runs.get(/\/runs\/([^/]+)/.exec(path)?.[1] ?? '');
  }

  #read(path: string): Answer {
    if (path === '/v1/aggregator') {
      const limits = { chunkBytes: 2 ** 20, uploadBytes: 2 ** 30 };
      const about = { name: 'pluralllm', version: '0.1.0', publicKey: AGGREGATOR_KEY, timeMs: Date.now() };
      return { status: 200, body: aggregatorSchema.parse({ ...about, limits }) };
    }
    if (path === '/v1/runs') {
      const runs = [...this.runs.values()].map((run) => runSummarySchema.parse(run));
      return { status: 200, body: runListSchema.parse({ runs }) };
    }
    if (path.endsWith('/events')) return refused(503, 'STORE_UNAVAILABLE', 'the store is away', null);
    const run = this.#runAt(path);
    if (run !== undefined) return { status: 200, body: run };
    return refused(404, 'AGGREGATOR_UNKNOWN_RUN', 'there is no such run', 'Look at the list of runs.');
  }

  #administer(method: string, path: string, authorization: string | undefined, body: string): Answer {
    if (authorization !== `Bearer ${ADMIN_KEY}`) {
      const hint = 'Take the key from the admin.key file of the aggregator.';
      return refused(401, 'ADMIN_KEY_REQUIRED', 'this is not the admin key', hint);
    }
    const run = this.#runAt(path);
    if (run === undefined) return refused(404, 'AGGREGATOR_UNKNOWN_RUN', 'there is no such run', null);
    if (path.endsWith('/invitations')) {
      const { count, expiresInMs } = inviteRequestSchema.parse(JSON.parse(body));
      const tokens = Array.from({ length: count }, () => randomBytes(32).toString('hex'));
      const answer = { run: run.run, tokens, expiresAt: Date.now() + expiresInMs };
      return { status: 200, body: inviteAnswerSchema.parse(answer) };
    }
    if (path.endsWith('/stop'))
      this.set({ ...run, phase: 'stopped', summary: 'The run was stopped.', awaited: [] });
    if (path.endsWith('/start')) this.set({ ...run, phase: 'collecting', failure: null });
    if (method === 'DELETE') this.#revoke(run, decodeURIComponent(path.split('/').at(-1) ?? ''));
    return { status: 200, body: { done: true } };
  }

  #revoke(run: RunStatus, group: string): void {
    const members = run.members.filter((member) => member.group !== group);
    this.set({ ...run, members, groups: members.length });
  }
}
