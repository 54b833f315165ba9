import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { S3Options } from '../../src/server/blobs/s3-config.ts';

/** What a request meets: an error of the server, a lost connection, an answer cut in half, the whole for a range. */
export type S3Fault = 'SlowDown' | 'reset' | 'cut' | 'whole';

/** A server on 127.0.0.1 with one bucket in memory, that speaks as much of the protocol as blobs need. */
export interface FakeS3 {
  readonly options: S3Options;
  readonly objects: Map<string, Buffer>;
  /** Method and key of each request that came. */
  readonly requests: string[];
  /** Faults of the requests to come, first to last. */
  readonly faults: S3Fault[];
  close(): Promise<void>;
}

const BUCKET = 'blobs';
const ACCESS_KEY_ID = 'test-access-key';

const STATUS = {
  NoSuchKey: 404,
  NoSuchBucket: 404,
  InvalidRange: 416,
  InvalidAccessKeyId: 403,
  NotImplemented: 501,
  SlowDown: 503,
} as const;

function refuse(response: ServerResponse, code: keyof typeof STATUS): void {
  response.writeHead(STATUS[code], { 'content-type': 'application/xml' });
  response.end(
    `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`,
  );
}

/** Servers older than these headers refuse them, or store the frames of a trailer as content. */
function hasNewChecksums({ headers }: IncomingMessage): boolean {
  return Object.keys(headers).some((name) => /^x-amz-(?:sdk-)?checksum|^x-amz-trailer/.test(name));
}

function sendWhole(response: ServerResponse, whole: Buffer): void {
  response.writeHead(200, { 'content-length': whole.length }).end(whole);
}

function sendRange(response: ServerResponse, whole: Buffer, range: string): void {
  const [first = 0, last = 0] = range.slice('bytes='.length).split('-').map(Number);
  if (last < first) {
    sendWhole(response, whole);
    return;
  }
  if (first >= whole.length) {
    refuse(response, 'InvalidRange');
    return;
  }
  const part = whole.subarray(first, last + 1);
  const contentRange = `bytes ${first}-${first + part.length - 1}/${whole.length}`;
  response.writeHead(206, { 'content-length': part.length, 'content-range': contentRange }).end(part);
}

function sendHalf(response: ServerResponse, whole: Buffer): void {
  response.writeHead(200, { 'content-length': whole.length });
  response.write(whole.subarray(0, whole.length / 2), () => response.destroy());
}

class MemoryS3 {
  readonly objects = new Map<string, Buffer>();
  readonly requests: string[] = [];
  readonly faults: S3Fault[] = [];

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const [, bucket, ...key] = new URL(url, 'http://localhost').pathname.split('/');
    const body = await buffer(request);
    this.requests.push(`${method} ${key.join('/')}`);
    const fault = this.faults.shift();
    if (fault === 'reset') request.socket.destroy();
    else if (fault === 'SlowDown') refuse(response, 'SlowDown');
    else if (fault === 'cut') sendHalf(response, this.objects.get(key.join('/')) ?? Buffer.alloc(0));
    else if (!headers.authorization?.includes(`Credential=${ACCESS_KEY_ID}/`))
      refuse(response, 'InvalidAccessKeyId');
    else if (hasNewChecksums(request)) refuse(response, 'NotImplemented');
    else if (bucket !== BUCKET) refuse(response, 'NoSuchBucket');
    else this.#carryOut(method, key.join('/'), body, fault === 'whole' ? undefined : headers.range, response);
  }

  #carryOut(
    method: string,
    key: string,
    body: Buffer,
    range: string | undefined,
    response: ServerResponse,
  ): void {
    const object = this.objects.get(key);
    if (method === 'PUT') {
      this.objects.set(key, body);
      response.end();
    } else if (method === 'DELETE') {
      this.objects.delete(key);
      response.writeHead(204).end();
    } else if (method !== 'GET') refuse(response, 'NotImplemented');
    else if (object === undefined) refuse(response, 'NoSuchKey');
    else if (range !== undefined) sendRange(response, object, range);
    else sendWhole(response, object);
  }
}

/** Starts one on a free port. */
export async function startS3(): Promise<FakeS3> {
  const memory = new MemoryS3();
  const server = createServer((request, response) => {
    memory.answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const { objects, requests, faults } = memory;
  return {
    objects,
    requests,
    faults,
    options: {
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      bucket: BUCKET,
      prefix: 'test',
      forcePathStyle: true,
      accessKeyId: ACCESS_KEY_ID,
      secretAccessKey: 'test-secret-key',
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
