import type { Socket } from 'node:net';
import type { ConnectionError, FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { PluralError } from '../core/errors.ts';
import { httpStatusOf } from './http-status.ts';
import { asStoreError } from './store/trouble.ts';

/** What the framework and the database driver throw, in our words. */
function translated(thrown: unknown): PluralError {
  if (thrown instanceof PluralError) return thrown;
  const { statusCode, message } = thrown as Partial<FastifyError>;
  if (statusCode === 413) {
    return new PluralError('BODY_TOO_LARGE', 'the body is larger than this route takes', {
      hint: 'The limits are in /v1/aggregator.',
    });
  }
  if (statusCode === 429) {
    return new PluralError('RATE_LIMITED', message ?? 'too many requests', {
      hint: 'Wait as long as the header retry-after says.',
    });
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new PluralError('REQUEST_MALFORMED', `the request is not what this route takes: ${message}`, {
      hint: 'Compare it with /openapi.json.',
    });
  }
  return asStoreError(thrown);
}

/** A fault as it is told: its code says what can be done; where files lie and what they are called is for the log alone. */
function toldOfFault({ code, hint }: PluralError): { message: string; hint: string | null } {
  const message = 'the aggregator failed to answer; its log has the details';
  return { message, hint: code === 'STORE_UNAVAILABLE' ? (hint ?? null) : null };
}

/** Answers an error in the one form that all have. A fault of the server is logged whole and told without details. */
export function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = translated(thrown);
  const status = httpStatusOf(error.code);
  if (status >= 500) request.log.error({ err: error.cause ?? error, code: error.code }, error.message);
  else request.log.info({ code: error.code }, error.message);
  const told = status >= 500 ? toldOfFault(error) : { message: error.message, hint: error.hint ?? null };
  reply.status(status).send({ error: { code: error.code, ...told } });
}

/** Status lines of what node:http refuses by itself; anything else is 400. */
const REFUSED: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
};

/** Answers bytes that are no request, and hangs up. They are not logged: they may hold keys. */
export function answerBrokenRequest({ code }: ConnectionError, socket: Socket): void {
  if (code !== 'ECONNRESET' && socket.writable) {
    const error = { code: 'REQUEST_MALFORMED', message: 'this is not an HTTP request', hint: null };
    const body = JSON.stringify({ error });
    const head = `content-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close`;
    socket.write(`HTTP/1.1 ${REFUSED[code] ?? '400 Bad Request'}\r\n${head}\r\n\r\n${body}`);
  }
  socket.destroy();
}
