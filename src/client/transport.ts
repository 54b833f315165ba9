import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { PluralError } from '../core/errors.ts';

/** A request as it goes over the wire. */
export interface TransportRequest {
  readonly method: string;
  /** Path and query, as they are signed. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Empty where there is none. */
  readonly body: Uint8Array;
  /** Calls this request off, where it may wait long. */
  readonly signal?: AbortSignal;
}

export interface TransportAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/**
 * Carries one request to the aggregator and brings its answer, whatever its status.
 * Errors: AGGREGATOR_UNREACHABLE when no whole answer came; INTERRUPTED when it was called off.
 */
export type Transport = (request: TransportRequest) => Promise<TransportAnswer>;

export interface HttpOptions {
  /** Of the aggregator. A path in it is put before every request's path, and is not signed. */
  readonly url: string;
  /** Certificates in PEM to trust instead of the system's; null for the system's. */
  readonly ca?: string | null;
  /** A connection on which nothing moves for so long counts as broken, in milliseconds. */
  readonly idleTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

const IDLE_TIMEOUT_MS = 60_000;
/** Far above the largest answer that is ever asked for; bounds what a broken server can make us hold. */
const MOST_ANSWER_BYTES = 256 * 2 ** 20;

function unreachable(origin: string, reason: string, cause?: unknown): PluralError {
  return new PluralError('AGGREGATOR_UNREACHABLE', `no answer from ${origin}: ${reason}`, {
    hint: 'Check the address and the network, and whether the aggregator runs.',
    cause,
  });
}

function reasonOf(thrown: Error): string {
  if (thrown.message !== '') return thrown.message;
  // Where several addresses were tried, node:net leaves the message empty.
  return 'code' in thrown ? String(thrown.code) : thrown.name;
}

function headersOf(message: IncomingMessage): Record<string, string> {
  const entries = Object.entries(message.headers).filter((entry) => entry[1] !== undefined);
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
}

async function readAnswer(message: IncomingMessage): Promise<TransportAnswer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of message) {
    parts.push(part);
    size += part.byteLength;
    if (size > MOST_ANSWER_BYTES) throw new Error('the answer has no end');
  }
  return { status: message.statusCode ?? 0, headers: headersOf(message), body: Buffer.concat(parts) };
}

function exchange(request: ClientRequest, body: Uint8Array, idleTimeoutMs: number): Promise<TransportAnswer> {
  return new Promise((resolve, reject) => {
    request.setTimeout(idleTimeoutMs, () =>
      request.destroy(new Error(`nothing moved for ${idleTimeoutMs / 1000} s`)),
    );
    request.on('error', reject);
    request.on('response', (message) => readAnswer(message).then(resolve, reject));
    request.end(body);
  });
}

/** Connections that are kept open between requests. */
export interface HttpTransport {
  readonly send: Transport;
  /** Closes connections that are idle; none keeps the process alive after that. */
  close(): void;
}

/** A transport over node:http or node:https. */
export function httpTransport(options: HttpOptions): HttpTransport {
  const { ca = null, idleTimeoutMs = IDLE_TIMEOUT_MS, signal: forAll } = options;
  const url = new URL(options.url);
  const secure = url.protocol === 'https:';
  const agent = secure
    ? new HttpsAgent({ keepAlive: true, ...(ca === null ? {} : { ca }) })
    : new HttpAgent({ keepAlive: true });
  const prefix = url.pathname.replace(/\/+$/, '');
  const send: Transport = async ({ method, path, headers, body, signal: own }) => {
    const signals = [forAll, own].flatMap((signal) => signal ?? []);
    const signal = signals.length === 0 ? undefined : AbortSignal.any(signals);
    const length = { 'content-length': String(body.byteLength) };
    try {
      const request = (secure ? httpsRequest : httpRequest)(`${url.origin}${prefix}${path}`, {
        method,
        agent,
        headers: { ...headers, ...length },
        ...(signal === undefined ? {} : { signal }),
      });
      return await exchange(request, body, idleTimeoutMs);
    } catch (thrown) {
      if (signal?.aborted) throw interrupted();
      throw unreachable(url.origin, thrown instanceof Error ? reasonOf(thrown) : String(thrown), thrown);
    }
  };
  return { send, close: () => agent.destroy() };
}

/** The error of work that was called off. */
export function interrupted(): PluralError {
  return new PluralError('INTERRUPTED', 'stopped; the folder can go on from here', {
    hint: 'Run the same command again.',
  });
}
