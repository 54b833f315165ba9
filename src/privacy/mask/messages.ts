import { z } from 'zod';
import { hexOf } from '../../core/bytes.ts';
import { canonicalJson } from '../../core/digest.ts';
import { encodeCbor, readCbor } from '../../wire/cbor.ts';
import { groupIdSchema } from '../../wire/run-definition.ts';
import type { RoundContext } from '../protection.ts';

/** The steps of a masked round, by their index. */
export const STEP = { keys: 0, shares: 1, upload: 2, consistency: 3, unmask: 4 } as const;

/** Most groups that a message can list. */
export const MOST_LISTED = 2 ** 16;

const bytes = (length: number) =>
  z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length === length,
    `not ${length} bytes`,
  );

/** Two shares of 32 bytes, and what `secretbox` adds. */
export const SEALED_BYTES = 2 * 32 + 16;
const sealedSchema = bytes(SEALED_BYTES);

/** Step `keys`: the public keys of a group in this attempt of the round, signed by its identity. */
const keysSchema = z.strictObject({
  identity: bytes(32),
  /** X25519 key that shares are sealed for. */
  cipherKey: bytes(32),
  /** X25519 key that pairwise masks come from. */
  maskKey: bytes(32),
  signature: bytes(64),
});
export type Keys = z.output<typeof keysSchema>;

const advertSchema = keysSchema.extend({ group: groupIdSchema });
export type Advert = z.output<typeof advertSchema>;

/** Shown before step `shares`: all keys, in code-unit order of the groups. */
const rosterSchema = z.strictObject({ adverts: z.array(advertSchema).max(MOST_LISTED) });

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

/** Shown before step `consistency`: whose masked updates are in the sum. */
const survivorsSchema = z.strictObject({ survivors: z.array(groupIdSchema).max(MOST_LISTED) });

/** Step `consistency`: the group's signature under who shared and who survived. */
const consistencySchema = z.strictObject({ signature: bytes(64) });

/**
 * Shown before step `unmask`: the signatures of the step before, and for each neighbour that shared the signature of its upload; null
 * where it was lost.
 */
const signaturesSchema = z.strictObject({
  signatures: z.array(z.strictObject({ group: groupIdSchema, signature: bytes(64) })).max(MOST_LISTED),
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

/** CBOR items of what a group sends, and of what the aggregator shows: lists of up to 2^16 maps of five fields. */
const MOST_SENT_ITEMS = 16 + 255;
const MOST_SHOWN_ITEMS = 16 + 11 * MOST_LISTED;

const codec = <Schema extends z.ZodType>(schema: Schema, mostItems: number) => ({
  write: (value: z.output<Schema>): Uint8Array => encodeCbor(value),
  /** Null for what `write` would not have written. */
  read: (content: Uint8Array): z.output<Schema> | null => readCbor(content, schema, mostItems),
});

export const keysMessage = codec(keysSchema, MOST_SENT_ITEMS);
export const rosterMessage = codec(rosterSchema, MOST_SHOWN_ITEMS);
export const sharesMessage = codec(sharesSchema, MOST_SENT_ITEMS);
export const deliveryMessage = codec(deliverySchema, MOST_SHOWN_ITEMS);
export const survivorsMessage = codec(survivorsSchema, MOST_SHOWN_ITEMS);
export const consistencyMessage = codec(consistencySchema, MOST_SENT_ITEMS);
export const signaturesMessage = codec(signaturesSchema, MOST_SHOWN_ITEMS);
export const unmaskMessage = codec(unmaskSchema, MOST_SENT_ITEMS);

/** A statement that nobody can take for one of another round, attempt, model or kind. */
function statement(what: string, context: RoundContext, content: object): Uint8Array {
  return Buffer.from(`pluralllm-mask-v1 ${what}\n${canonicalJson({ ...context, ...content })}`, 'utf8');
}

/** What the signature under a group's keys covers. */
export function keysStatement(
  context: RoundContext,
  group: string,
  keys: Omit<Keys, 'signature'>,
): Uint8Array {
  const { identity, cipherKey, maskKey } = keys;
  const named = { identity: hexOf(identity), cipherKey: hexOf(cipherKey), maskKey: hexOf(maskKey) };
  return statement('keys', context, { group, ...named });
}

/**
 * What the signature of an upload covers: whom the group shares masks with. Who reveals a share of its self mask must have been told
 * the same, or masks that the group never added would stand for those that hide it.
 */
export function uploadStatement(
  context: RoundContext,
  lists: { readonly roster: string; readonly sharers: readonly string[] },
): Uint8Array {
  return statement('upload', context, lists);
}

/** What the signatures of step `consistency` cover: the digest of the roster, and both lists. */
export function consistencyStatement(
  context: RoundContext,
  lists: {
    readonly roster: string;
    readonly sharers: readonly string[];
    readonly survivors: readonly string[];
  },
): Uint8Array {
  return statement('survivors', context, lists);
}
