import { z } from 'zod';
import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import { type Identity, isSignedBy, publicKeySchema, signatureSchema } from './identity.ts';

/**
 * Every request of a group is signed with its Ed25519 key over what it asks (method, path with query, digest of the
 * body), of whom (the aggregator's key), when, and a nonce that counts once.
 */
export interface RequestContent {
  readonly method: string;
  /** Path and query as they stand in the request line. */
  readonly path: string;
  /** Empty where there is none. */
  readonly body: Uint8Array;
}

/** Names of the headers that carry a signature. */
export const SIGNATURE_HEADERS = {
  key: 'pluralllm-key',
  time: 'pluralllm-time',
  nonce: 'pluralllm-nonce',
  body: 'pluralllm-body',
  signature: 'pluralllm-signature',
} as const;

/** How far the clocks of group and aggregator may differ, in milliseconds; as long a nonce is kept. */
export const CLOCK_TOLERANCE_MS = 5 * 60_000;

const headersSchema = z.object({
  [SIGNATURE_HEADERS.key]: publicKeySchema,
  [SIGNATURE_HEADERS.time]: z.string().regex(/^\d{1,15}$/, 'not a time in milliseconds'),
  [SIGNATURE_HEADERS.nonce]: z.string().regex(/^[0-9a-f]{32}$/, 'not a nonce: 32 hex digits'),
  [SIGNATURE_HEADERS.body]: z.string().regex(/^[0-9a-f]{64}$/, 'not a SHA-256'),
  [SIGNATURE_HEADERS.signature]: signatureSchema,
});

/** What the headers say, once their signature has been checked. */
export interface SignedClaim {
  readonly publicKey: string;
  readonly timeMs: number;
  readonly nonce: string;
  /** SHA-256 that the body must have. */
  readonly bodyDigest: string;
}

interface SignedText {
  readonly method: string;
  readonly path: string;
  readonly audience: string;
  readonly bodyDigest: string;
  readonly time: string;
  readonly nonce: string;
}

function signedText({ method, path, audience, bodyDigest, time, nonce }: SignedText): Uint8Array {
  return Buffer.from(
    ['pluralllm-request-v1', audience, method, path, bodyDigest, time, nonce].join('\n'),
    'utf8',
  );
}

/** Headers that sign a request to the aggregator whose key is `audience`. `nonce`: 32 hex digits, fresh each time. */
export function signRequest(
  identity: Identity,
  content: RequestContent,
  { audience, timeMs, nonce }: { readonly audience: string; readonly timeMs: number; readonly nonce: string },
): Record<string, string> {
  const { method, path, body } = content;
  const bodyDigest = sha256(body);
  const time = String(timeMs);
  return {
    [SIGNATURE_HEADERS.key]: identity.publicKey,
    [SIGNATURE_HEADERS.time]: time,
    [SIGNATURE_HEADERS.nonce]: nonce,
    [SIGNATURE_HEADERS.body]: bodyDigest,
    [SIGNATURE_HEADERS.signature]: identity.sign(
      signedText({ method, path, audience, bodyDigest, time, nonce }),
    ),
  };
}

/**
 * Checks a signature before the body is read. That the body has the digest, that the key may do this, and that the nonce
 * is new, is the caller's to check. Errors: REQUEST_UNSIGNED, SIGNATURE_INVALID, CLOCK_SKEWED.
 */
export function readSignature(
  headers: Readonly<Record<string, unknown>>,
  { method, path }: Pick<RequestContent, 'method' | 'path'>,
  { audience, nowMs }: { readonly audience: string; readonly nowMs: number },
): SignedClaim {
  if (headers[SIGNATURE_HEADERS.signature] === undefined) {
    throw new PluralError('REQUEST_UNSIGNED', `${method} ${path.split('?')[0]} needs a signature`, {
      hint: 'Use "pluralllm group ...", or sign as docs/protocol.md says.',
    });
  }
  const parsed = headersSchema.safeParse(headers);
  if (!parsed.success) throw invalid(parsed.error.issues[0]?.message ?? 'it cannot be read');
  const {
    [SIGNATURE_HEADERS.key]: publicKey,
    [SIGNATURE_HEADERS.time]: time,
    [SIGNATURE_HEADERS.nonce]: nonce,
    [SIGNATURE_HEADERS.body]: bodyDigest,
    [SIGNATURE_HEADERS.signature]: signature,
  } = parsed.data;
  const text = signedText({ method, path, audience, bodyDigest, time, nonce });
  if (!isSignedBy(publicKey, text, signature)) throw invalid('it does not fit the request');
  const timeMs = Number(time);
  if (Math.abs(timeMs - nowMs) > CLOCK_TOLERANCE_MS) {
    throw new PluralError(
      'CLOCK_SKEWED',
      `the request says ${isoTime(timeMs)}, here it is ${isoTime(nowMs)}`,
      { hint: `Set the clock: ${CLOCK_TOLERANCE_MS / 60_000} minutes of difference are allowed.` },
    );
  }
  return { publicKey, timeMs, nonce, bodyDigest };
}

/** ISO 8601; fifteen digits of milliseconds are always a date. */
function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

function invalid(reason: string): PluralError {
  return new PluralError('SIGNATURE_INVALID', `the signature is not valid: ${reason}`, {
    hint: 'The request was changed on its way, was meant for another aggregator, or was signed with another key.',
  });
}
