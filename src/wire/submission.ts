import { encode } from 'cborg';
import { z } from 'zod';
import { asStage } from '../core/brand.ts';
import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import { decodeItems } from './cbor.ts';
import type { ProtectedUpdate, Submission } from './stages.ts';

/** Version of the encoding; raised when it changes. */
const FORMAT = 2;

const message = z.strictObject({
  format: z.literal(FORMAT),
  run: z.string().min(1).max(128),
  group: z.string().min(1).max(256),
  round: z.int().min(1),
  step: z.int().min(0),
  model: z.string().regex(/^[0-9a-f]{64}$/, 'not the digest of a model'),
  protection: z.string().min(1).max(64),
  payload: z.instanceof(Uint8Array),
});

const EMPTY = new Uint8Array();
/** Major type 2 of CBOR, in the first byte of an item. */
const BYTE_STRING = 0x40;

/** What a submission belongs to, beside its group and its round. */
export interface Origin {
  /** Digest that names the run. */
  readonly run: string;
  /** Index of the collection step. */
  readonly step: number;
  /** Digest of the parameters that the update was trained from. */
  readonly model: string;
}

/** A submission as the aggregator reads it. */
export interface ReceivedUpdate {
  readonly origin: Origin;
  readonly update: ProtectedUpdate;
}

function encodeMessage(update: ProtectedUpdate, { run, step, model }: Origin): Uint8Array {
  const { group, round, protection, payload } = update;
  return encode({ format: FORMAT, run, group, round, step, model, protection, payload });
}

/** Encodes a protected update; equal updates give equal bytes (CBOR with RFC 8949 deterministic encoding). */
export function encodeSubmission(update: ProtectedUpdate, origin: Origin): Submission {
  const bytes = encodeMessage(update, origin);
  const { group, round } = update;
  return asStage({ group, round, step: origin.step, bytes, digest: sha256(bytes) });
}

/** Longest submission that is looked at, in bytes: 2^28 float32 parameters. */
export const MOST_SUBMISSION_BYTES = 2 ** 30;

/** Items of a message: the map, and a key and a value for each of its fields. */
const ITEMS = 1 + 2 * Object.keys(message.shape).length;

/** Head of a byte string: that of its length as a number, with another major type. */
function bytesHead(length: number): Uint8Array {
  const [first = 0, ...rest] = encode(length);
  return Uint8Array.of(first | BYTE_STRING, ...rest);
}

/**
 * Whether these are the bytes that `encodeMessage` writes for what was decoded from them. The payload is not encoded
 * again: where all around it is as it should be, it is what stands in between.
 */
function isDeterministic(bytes: Uint8Array, update: ProtectedUpdate, origin: Origin): boolean {
  const { payload, protection } = update;
  const around = encodeMessage({ ...update, payload: EMPTY }, origin);
  // The payload is the last field but one.
  const tail = around.subarray(-(encode('protection').length + encode(protection).length));
  const head = [around.subarray(0, -tail.length - 1), bytesHead(payload.length)];
  const start = head[0]!.length + head[1]!.length;
  return (
    bytes.length === start + payload.length + tail.length &&
    Buffer.compare(Buffer.concat(head), bytes.subarray(0, start)) === 0 &&
    Buffer.compare(tail, bytes.subarray(start + payload.length)) === 0
  );
}

/**
 * Decodes what a group sent. Anything that `encodeSubmission` would not have written is UPDATE_MALFORMED, also
 * another encoding of the same content: a submission has one digest.
 */
export function decodeSubmission({ buffer, byteOffset, byteLength }: Uint8Array): ReceivedUpdate {
  // Of a plain array the decoder copies the payload.
  return decodeChecked(new Uint8Array(buffer, byteOffset, byteLength));
}

/** The same without a copy: the payload is a part of `bytes`, and good for as long as nothing is written there. */
export function viewSubmission({ buffer, byteOffset, byteLength }: Uint8Array): ReceivedUpdate {
  // A Buffer lends its own memory to the payload.
  return decodeChecked(Buffer.from(buffer, byteOffset, byteLength));
}

function decodeChecked(bytes: Uint8Array): ReceivedUpdate {
  if (bytes.byteLength > MOST_SUBMISSION_BYTES)
    throw refused(`it has ${bytes.byteLength} bytes, at most ${MOST_SUBMISSION_BYTES} may be sent`);
  let content: unknown;
  try {
    content = decodeItems(bytes, ITEMS);
  } catch (thrown) {
    throw refused('it is not valid CBOR', thrown);
  }
  const parsed = message.safeParse(content);
  if (!parsed.success) throw refused(parsed.error.issues[0]?.message ?? 'invalid');
  const { run, group, round, step, model, protection, payload } = parsed.data;
  const update: ProtectedUpdate = asStage({ group, round, protection, payload });
  const origin = { run, step, model };
  if (!isDeterministic(bytes, update, origin)) throw refused('its encoding is not the deterministic one');
  return { origin, update };
}

/** UPDATE_OF_ANOTHER_MODEL for an update of another run, or one that was trained from another model. */
export function checkOrigin(
  { origin, update: { group, round } }: ReceivedUpdate,
  expected: Pick<Origin, 'run' | 'model'>,
): void {
  for (const part of ['run', 'model'] as const) {
    if (origin[part] === expected[part]) continue;
    throw new PluralError(
      'UPDATE_OF_ANOTHER_MODEL',
      `update of group "${group}" in round ${round}: its ${part} is ${origin[part]}, not ${expected[part]}`,
      { hint: 'The group should fetch the current model of this run and train again.' },
    );
  }
}

function refused(reason: string, cause?: unknown): PluralError {
  return new PluralError('UPDATE_MALFORMED', `the submission cannot be read: ${reason}`, {
    hint: 'Submit again; if it happens twice, the group and the aggregator run different versions.',
    cause,
  });
}
