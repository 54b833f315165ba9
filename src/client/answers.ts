import type { z } from 'zod';
import { ERROR_CODES, type ErrorCode, PluralError } from '../core/errors.ts';
import { jsonOrNull } from '../core/files.ts';
import { errorSchema } from '../wire/http.ts';
import type { AnswerCause } from './retry.ts';
import type { TransportAnswer } from './transport.ts';

/** Codes that speak of the process that has them: from a server they would mislead. */
const NOT_FROM_AFAR: readonly ErrorCode[] = ['INTERNAL', 'INTERRUPTED', 'USAGE'];

function knownCode(code: string): ErrorCode {
  const known = ERROR_CODES.find((candidate) => candidate === code);
  return known === undefined || NOT_FROM_AFAR.includes(known) ? 'AGGREGATOR_FAILED' : known;
}

/** One line without control characters: it comes from outside and is shown on a terminal. */
function shown(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}]+/gu, ' ').trim();
}

function causeOf({ status, headers }: TransportAnswer): AnswerCause {
  const seconds = Number(headers['retry-after'] ?? Number.NaN);
  return { status, retryAfterMs: Number.isFinite(seconds) ? seconds * 1000 : null };
}

/** What stands in the answer's place when a proxy, or half an aggregator, speaks. */
function unreadable(answer: TransportAnswer, where: string): PluralError {
  return new PluralError(
    'AGGREGATOR_UNREACHABLE',
    `${where}: the answer (status ${answer.status}) is cut off, or not from an aggregator`,
    { hint: 'Check the address, and what stands between here and the aggregator.', cause: causeOf(answer) },
  );
}

/** The error that an answer carries. */
function errorOf(answer: TransportAnswer, where: string): PluralError {
  const parsed = errorSchema.safeParse(jsonOf(answer));
  if (!parsed.success) return unreadable(answer, where);
  const { code, message, hint } = parsed.data.error;
  return new PluralError(knownCode(code), shown(message), {
    ...(hint === null ? {} : { hint: shown(hint) }),
    cause: causeOf(answer),
  });
}

function jsonOf({ body }: TransportAnswer): unknown {
  return jsonOrNull(Buffer.from(body).toString('utf8'));
}

function isSuccess({ status }: TransportAnswer): boolean {
  return status >= 200 && status < 300;
}

/**
 * The content of an answer. Errors: the one that it carries, with AGGREGATOR_FAILED for codes that this version does not
 * know and for content that does not fit; AGGREGATOR_UNREACHABLE for what is no JSON.
 */
export function readAnswer<Schema extends z.ZodType>(
  answer: TransportAnswer,
  schema: Schema,
  where: string,
): z.output<Schema> {
  if (!isSuccess(answer)) throw errorOf(answer, where);
  const json = jsonOf(answer);
  if (json === null) throw unreadable(answer, where);
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const place = issue === undefined ? '' : ` (${issue.path.join('.')}: ${issue.message})`;
  throw new PluralError('AGGREGATOR_FAILED', `${where}: the answer does not fit this version${place}`, {
    hint: 'Use the same version of pluralllm as the aggregator.',
  });
}

/** The bytes of an answer, at most `most`. Errors: as `readAnswer`. */
export function readBytes(answer: TransportAnswer, most: number, where: string): Uint8Array {
  if (!isSuccess(answer)) throw errorOf(answer, where);
  const type = answer.headers['content-type'] ?? '';
  const { byteLength } = answer.body;
  if (!type.startsWith('application/octet-stream') || byteLength === 0 || byteLength > most) {
    throw unreadable(answer, where);
  }
  return answer.body;
}
