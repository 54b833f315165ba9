import { z } from 'zod';
import { framed, unframed } from '../../wire/framed.ts';
import { digestSchema, groupIdSchema } from '../../wire/run-definition.ts';
import { bytes, codec } from '../secure-sum/protocol.ts';
import { isAscending } from '../secure-sum/roster.ts';
import { wordsOf } from '../secure-sum/words.ts';
import { ciphertextBytes } from './ciphertext.ts';
import { MOST_MEMBERS, SEALED_BYTES } from './messages.ts';
import { MOST_GROUPS, type SealSettings } from './settings.ts';

/**
 * What the aggregator publishes where it holds ciphertext: a sum of ciphertexts, and the committee's answers that open it, each sealed for
 * those who have the readers' key. A frame with the length of the head, the head, the answers, and the sum as a ciphertext is on the wire.
 */
export interface SealedSum {
  readonly run: string;
  readonly round: number;
  readonly attempt: number;
  /** What the record before it names: so the digest of a sealed sum stands for all that came before it. */
  readonly model: string;
  /** Digest of the roster, 32 bytes. */
  readonly roster: Uint8Array;
  readonly members: readonly string[];
  readonly threshold: number;
  /** Whose updates are in the sum, in code-unit order. */
  readonly survivors: readonly string[];
  /** By the member's place in the committee, from 1 on, ascending; SEALED_BYTES each. */
  readonly answers: readonly { readonly x: number; readonly sealed: Uint8Array }[];
  readonly sum: Uint8Array;
}

const headSchema = z
  .strictObject({
    format: z.literal(1),
    run: z.string().min(1).max(128),
    round: z.int().min(1),
    attempt: z.int().min(1),
    model: digestSchema,
    roster: bytes(32),
    members: z.array(groupIdSchema).min(1).max(MOST_MEMBERS),
    threshold: z.int().min(1),
    survivors: z.array(groupIdSchema).min(1).max(MOST_GROUPS),
    answered: z.array(z.int().min(1)).max(MOST_MEMBERS),
  })
  .refine(({ members, survivors }) => isAscending(members) && isAscending(survivors))
  .refine(({ answered }) => answered.every((x, index) => index === 0 || answered[index - 1]! < x))
  .refine(({ answered, members }) => (answered.at(-1) ?? 0) <= members.length)
  .refine(({ answered, threshold }) => threshold <= answered.length);

const headMessage = codec(headSchema, 32 + 2 * MOST_MEMBERS + MOST_GROUPS);

const LENGTH_BYTES = 4;
/** Names have up to 256 UTF-16 units, of at most three bytes each in UTF-8, and a head. */
const MOST_NAME_BYTES = 3 * 256 + 3;
const MOST_HEAD_BYTES = 1024 + (MOST_MEMBERS + MOST_GROUPS) * MOST_NAME_BYTES + 3 * MOST_MEMBERS;

function sumBytes({ plan, grid }: SealSettings, parameters: number): number {
  return ciphertextBytes(plan, wordsOf(parameters, grid));
}

/** The longest sealed sum of a run, in bytes. */
export function mostSealedSumBytes(settings: SealSettings, parameters: number): number {
  const answers = Math.min(settings.most, MOST_MEMBERS) * SEALED_BYTES;
  return 2 * LENGTH_BYTES + MOST_HEAD_BYTES + answers + sumBytes(settings, parameters);
}

export function writeSealedSum({ answers, sum, ...rest }: SealedSum): Uint8Array {
  const { members, survivors } = rest;
  const head = headMessage.write({
    format: 1,
    ...rest,
    members: [...members],
    survivors: [...survivors],
    answered: answers.map(({ x }) => x),
  });
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(head.byteLength);
  return framed(length, head, ...answers.map(({ sealed }) => sealed), sum);
}

/** Null for what `writeSealedSum` would not have written in this run. Its parts are views of the bytes. */
export function readSealedSum(
  frame: Uint8Array,
  settings: SealSettings,
  parameters: number,
): SealedSum | null {
  const content = unframed(frame);
  if (content === null || content.byteLength < LENGTH_BYTES) return null;
  const length = new DataView(content.buffer, content.byteOffset).getUint32(0);
  if (length > Math.min(MOST_HEAD_BYTES, content.byteLength - LENGTH_BYTES)) return null;
  const behind = LENGTH_BYTES + length;
  const head = headMessage.read(content.subarray(LENGTH_BYTES, behind));
  if (head === null) return null;
  const { format: _, answered, ...rest } = head;
  const from = behind + answered.length * SEALED_BYTES;
  if (content.byteLength !== from + sumBytes(settings, parameters)) return null;
  const answers = answered.map((x, index) => {
    const at = behind + index * SEALED_BYTES;
    return { x, sealed: content.subarray(at, at + SEALED_BYTES) };
  });
  return { ...rest, answers, sum: content.subarray(from) };
}
