import { z } from 'zod';
import { groupIdSchema } from '../../wire/run-definition.ts';
import {
  type Keys as AnyKeys,
  bytes,
  codec,
  MOST_LISTED,
  protocolOf,
  signatureSchema,
} from '../secure-sum/protocol.ts';
import { ELEMENT_BYTES } from './ring.ts';

/** The steps of a round under `seal`, by their index. */
export const STEP = { keys: 0, shares: 1, upload: 2, consistency: 3, open: 4 } as const;

/** The X25519 key that shares are sealed for. */
export type KeyName = 'cipherKey';
export type Keys = AnyKeys<KeyName>;
export type Advert = Keys & { readonly group: string };

export const SEALED = protocolOf<KeyName>('pluralllm-seal-v1', ['cipherKey']);

/** A share of a key, and what `secretbox` adds. */
export const SEALED_BYTES = ELEMENT_BYTES + 16;
const sealedSchema = bytes(SEALED_BYTES);
/** Members of a committee. */
export const MOST_MEMBERS = 255;

/** Step `shares`: a share of the group's key for each member of the committee but itself, in code-unit order, sealed for it. */
const sharesSchema = z.strictObject({
  /** Digest of the roster that the committee was found by. */
  roster: bytes(32),
  sealed: z.array(sealedSchema).max(MOST_MEMBERS),
});
export type Shares = z.output<typeof sharesSchema>;

/** Shown before step `upload`: who shared, and for a member what each of the others sealed for it, in code-unit order. */
const deliverySchema = z.strictObject({
  sharers: z.array(groupIdSchema).max(MOST_LISTED),
  sealed: z.array(sealedSchema).max(MOST_LISTED),
});

/** Shown before step `open`: the signatures of the step before. */
const signaturesSchema = z.strictObject({ signatures: z.array(signatureSchema).max(MOST_LISTED) });

/** Step `open`: a member's share of the sum of the survivors' keys; null for who is no member, or could not open all of its shares. */
const openSchema = z.strictObject({ roster: bytes(32), share: bytes(ELEMENT_BYTES).nullable() });
export type Opened = z.output<typeof openSchema>;

/** The same where the aggregator holds ciphertext: the share is sealed for those who have the readers' key. */
const answerSchema = z.strictObject({ roster: bytes(32), sealed: sealedSchema.nullable() });

/** CBOR items of what a group sends. */
const MOST_SENT_ITEMS = 16 + MOST_MEMBERS;

export const sharesMessage = codec(sharesSchema, MOST_SENT_ITEMS);
export const deliveryMessage = codec(deliverySchema);
export const signaturesMessage = codec(signaturesSchema);
export const openMessage = codec(openSchema, MOST_SENT_ITEMS);
export const answerMessage = codec(answerSchema, MOST_SENT_ITEMS);
