import { z } from 'zod';
import { groupIdSchema } from '../../wire/run-definition.ts';
import type { RoundContext } from '../protection.ts';
import {
  type Keys as AnyKeys,
  bytes,
  codec,
  MOST_LISTED,
  protocolOf,
  signatureSchema,
} from '../secure-sum/protocol.ts';

/** The steps of a masked round, by their index. */
export const STEP = { keys: 0, shares: 1, upload: 2, consistency: 3, unmask: 4 } as const;

/** X25519 keys: that shares are sealed for, and that pairwise masks come from. */
export type KeyName = 'cipherKey' | 'maskKey';
export type Keys = AnyKeys<KeyName>;
export type Advert = Keys & { readonly group: string };

export const MASKED = protocolOf<KeyName>('pluralllm-mask-v1', ['cipherKey', 'maskKey']);
export const { keysMessage, rosterMessage, keysStatement, consistencyStatement } = MASKED;
export { consistencyMessage, survivorsMessage } from '../secure-sum/protocol.ts';

/** Two shares of 32 bytes, and what `secretbox` adds. */
export const SEALED_BYTES = 2 * 32 + 16;
const sealedSchema = bytes(SEALED_BYTES);

/** Step `shares`: one sealed pair of shares for each neighbour, in code-unit order. */
const sharesSchema = z.strictObject({
  /** Digest of the roster that the neighbours were found by. */
  roster: bytes(32),
  /** SHA-256 of the secret of the self mask: who rebuilds it knows that it is the right one. */
  commitment: bytes(32),
  sealed: z.array(sealedSchema).max(255),
});
export type Shares = z.output<typeof sharesSchema>;

/** Shown before step `upload`: who shared, and for each neighbour what it sealed for this group; null where it did not share. */
const deliverySchema = z.strictObject({
  sharers: z.array(groupIdSchema).max(MOST_LISTED),
  sealed: z.array(sealedSchema.nullable()).max(255),
});

/**
 * Shown before step `unmask`: the signatures of the step before, and for each neighbour that shared the signature of its upload; null
 * where it was lost.
 */
const signaturesSchema = z.strictObject({
  signatures: z.array(signatureSchema).max(MOST_LISTED),
  uploads: z.array(bytes(64).nullable()).max(255),
});

/**
 * Step `unmask`: for each neighbour that shared, in code-unit order, one share: of the self mask of who survived, of the mask key of who
 * did not; null where what it had sealed could not be opened.
 */
const unmaskSchema = z.strictObject({
  roster: bytes(32),
  shares: z.array(bytes(32).nullable()).max(255),
});

/** CBOR items of what a group sends. */
const MOST_SENT_ITEMS = 16 + 255;

export const sharesMessage = codec(sharesSchema, MOST_SENT_ITEMS);
export const deliveryMessage = codec(deliverySchema);
export const signaturesMessage = codec(signaturesSchema);
export const unmaskMessage = codec(unmaskSchema, MOST_SENT_ITEMS);

/**
 * What the signature of an upload covers: whom the group shares masks with. Who reveals a share of its self mask must have been told
 * the same, or masks that the group never added would stand for those that hide it.
 */
export function uploadStatement(
  context: RoundContext,
  lists: { readonly roster: string; readonly sharers: readonly string[] },
): Uint8Array {
  return MASKED.statement('upload', context, lists);
}
