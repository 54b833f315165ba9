import { decode, encode } from 'cborg';
import { z } from 'zod';
import { asStage } from '../core/brand.ts';
import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import type { ProtectedUpdate, Submission } from './stages.ts';

/** Version of the encoding; raised when it changes. */
const FORMAT = 1;

const message = z.strictObject({
  format: z.literal(FORMAT),
  group: z.string().min(1).max(256),
  round: z.int().min(1),
  protection: z.string().min(1).max(64),
  payload: z.instanceof(Uint8Array),
});

function encodeMessage({ group, round, protection, payload }: ProtectedUpdate): Uint8Array {
  return encode({ format: FORMAT, group, round, protection, payload });
}

/** Encodes a protected update; equal updates give equal bytes (CBOR with RFC 8949 deterministic encoding). */
export function encodeSubmission(update: ProtectedUpdate): Submission {
  const bytes = encodeMessage(update);
  return asStage({ group: update.group, round: update.round, bytes, digest: sha256(bytes) });
}

/** Longest submission that is looked at, in bytes: 2^28 float32 parameters. */
const MOST_BYTES = 2 ** 30;

/**
 * Decodes what a group sent. Anything that `encodeSubmission` would not have written is ROUND_REFUSED, also
 * another encoding of the same content: a submission has one digest.
 */
export function decodeSubmission(bytes: Uint8Array): ProtectedUpdate {
  if (bytes.byteLength > MOST_BYTES)
    throw refused(`it has ${bytes.byteLength} bytes, at most ${MOST_BYTES} may be sent`);
  let content: unknown;
  try {
    content = decode(bytes, { strict: true, rejectDuplicateMapKeys: true });
  } catch (thrown) {
    throw refused('it is not valid CBOR', thrown);
  }
  const parsed = message.safeParse(content);
  if (!parsed.success) throw refused(parsed.error.issues[0]?.message ?? 'invalid');
  const { group, round, protection, payload } = parsed.data;
  const update: ProtectedUpdate = asStage({ group, round, protection, payload });
  if (Buffer.compare(encodeMessage(update), bytes) !== 0)
    throw refused('its encoding is not the deterministic one');
  return update;
}

function refused(reason: string, cause?: unknown): PluralError {
  return new PluralError('ROUND_REFUSED', `the submission cannot be read: ${reason}`, {
    hint: 'Submit again; if it happens twice, the group and the aggregator run different versions.',
    cause,
  });
}
