import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type HttpOptions, type HttpTransport, httpTransport } from '../../src/client/transport.ts';
import { temporaryFolder } from '../support/cli.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function connected(
  listener: RequestListener,
  options: Partial<HttpOptions> = {},
): Promise<HttpTransport> {
  const port = await listening(createServer(listener));
  const transport = httpTransport({ url: `http://127.0.0.1:${port}`, ...options });
  closers.push(transport.close);
  return transport;
}

const ask = { method: 'GET', path: '/x?a=1', headers: {}, body: new Uint8Array() };
const broken = { code: 'AGGREGATOR_UNREACHABLE' };

describe('over http', () => {
  test('brings a request as it is and its answer whatever the status', async () => {
    const { send } = await connected((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part) => parts.push(part));
      request.on('end', () => {
        const seen = [request.method, request.url, request.headers['x-own'], Buffer.concat(parts).toString()];
        response.writeHead(418, { 'X-Answer': 'yes' }).end(JSON.stringify(seen));
      });
    });
    const answer = await send({
      ...ask,
      method: 'PUT',
      headers: { 'x-own': 'v' },
      body: Buffer.from('body'),
    });
    expect(answer.status).toBe(418);
    expect(answer.headers['x-answer']).toBe('yes');
    expect(JSON.parse(Buffer.from(answer.body).toString())).toEqual(['PUT', '/x?a=1', 'v', 'body']);
  });

  test('puts the path of the address before that of the request', async () => {
    const { send } = await connected((request, response) => response.end(request.url));
    const port = await listening(createServer((request, response) => response.end(request.url)));
    const prefixed = httpTransport({ url: `http://127.0.0.1:${port}/behind/proxy/` });
    closers.push(prefixed.close);
    const text = async (transport: typeof send) => Buffer.from((await transport(ask)).body).toString();
    expect(await text(send)).toBe('/x?a=1');
    expect(await text(prefixed.send)).toBe('/behind/proxy/x?a=1');
  });

  test('keeps its connection', async () => {
    const ports = new Set<number | undefined>();
    const { send } = await connected((request, response) => {
      ports.add(request.socket.remotePort);
      response.end();
    });
    for (let count = 0; count < 3; count++) await send(ask);
    expect(ports.size).toBe(1);
  });
});

describe('counts as unreachable', () => {
  test('nobody who listens', async () => {
    const server = createServer();
    const port = await listening(server);
    await new Promise((resolve) => server.close(resolve));
    const { send } = httpTransport({ url: `http://127.0.0.1:${port}` });
    await expect(send(ask)).rejects.toMatchObject(broken);
  });

  test('a name that does not exist', async () => {
    const { send } = httpTransport({ url: 'http://nowhere.invalid' });
    await expect(send(ask)).rejects.toMatchObject(broken);
  });

  test('a connection that breaks before the answer, or within it', async () => {
    const before = await connected((request) => request.socket.destroy());
    await expect(before.send(ask)).rejects.toMatchObject(broken);
    const within = await connected((_, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('half', () => response.destroy());
    });
    await expect(within.send(ask)).rejects.toMatchObject(broken);
  });

  test('a connection on which nothing moves', async () => {
    const silent = await connected(() => undefined, { idleTimeoutMs: 50 });
    await expect(silent.send(ask)).rejects.toMatchObject(broken);
    const stuck = await connected((_, response) => response.write('half'), { idleTimeoutMs: 50 });
    await expect(stuck.send(ask)).rejects.toMatchObject(broken);
  });
});

test('a signal calls a request off', async () => {
  const controller = new AbortController();
  const { send } = await connected(() => controller.abort(), { signal: controller.signal });
  await expect(send(ask)).rejects.toMatchObject({ code: 'INTERRUPTED' });
});

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasOpenssl())(
  hasOpenssl() ? 'over https' : 'over https: SKIPPED, no openssl to make a certificate with',
  () => {
    const folder = temporaryFolder();
    const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name));

    async function secure(ca: string | null) {
      const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
      const files = ['-keyout', key!, '-out', cert!];
      const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
      execFileSync('openssl', ['req', '-x509', ...kind, ...files, ...subject], { stdio: 'ignore' });
      const own = readFileSync(cert!, 'utf8');
      const tls = { key: readFileSync(key!, 'utf8'), cert: own };
      const port = await listening(createTlsServer(tls, (_, response) => response.end('safe')));
      const transport = httpTransport({ url: `https://127.0.0.1:${port}`, ca: ca === 'own' ? own : ca });
      closers.push(transport.close);
      return transport;
    }

    test('with a certificate of its own that was handed over', async () => {
      const { send } = await secure('own');
      expect(Buffer.from((await send(ask)).body).toString()).toBe('safe');
    });

    test('not with one that nobody vouches for', async () => {
      const { send } = await secure(null);
      await expect(send(ask)).rejects.toMatchObject({
        ...broken,
        message: expect.stringContaining('certificate'),
      });
    });
  },
);
