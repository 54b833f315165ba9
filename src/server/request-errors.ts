import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
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

/** Answers an error in the one form that all have. A fault of the server is logged whole and told without details. */
export function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = translated(thrown);
  const status = httpStatusOf(error.code);
  const fault = status >= 500 && error.code === 'INTERNAL';
  if (status >= 500) request.log.error({ err: error.cause ?? error, code: error.code }, error.message);
  else request.log.info({ code: error.code }, error.message);
  const message = fault ? 'the aggregator failed to answer; its log has the details' : error.message;
  reply.status(status).send({ error: { code: error.code, message, hint: error.hint ?? null } });
}
