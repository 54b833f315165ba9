import { z } from 'zod';
import { hexOf } from '../../core/bytes.ts';
import { canonicalJson } from '../../core/digest.ts';
import { encodeCbor, readCbor } from '../../wire/cbor.ts';
import { groupIdSchema } from '../../wire/run-definition.ts';
import type { RoundContext } from '../protection.ts';

/** Most groups that a message can list. */
export const MOST_LISTED = 2 ** 16;

/** CBOR items of what the aggregator shows: lists of up to 2^16 maps of five fields. */
const MOST_SHOWN_ITEMS = 16 + 11 * MOST_LISTED;

/** Exactly `length` bytes. */
export const bytes = (length: number) =>
  z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length === length,
    `not ${length} bytes`,
  );

/** Writes and reads one kind of message. `mostItems`: CBOR items that it has at most. */
export const codec = <Schema extends z.ZodType>(schema: Schema, mostItems = MOST_SHOWN_ITEMS) => ({
  write: (value: z.output<Schema>): Uint8Array => encodeCbor(value),
  /** Null for what `write` would not have written. */
  read: (content: Uint8Array): z.output<Schema> | null => readCbor(content, schema, mostItems),
});

const MOST_KEYS = 16;

/** Public keys of a group in one attempt of a round: its identity (Ed25519), and X25519 keys by name; 32 bytes each. */
export type PublicKeys<Name extends string = string> = { readonly identity: Uint8Array } & Readonly<
  Record<Name, Uint8Array>
>;

/** The same, signed by the identity. */
export type Keys<Name extends string = string> = PublicKeys<Name> & { readonly signature: Uint8Array };

export type Advert<Name extends string = string> = Keys<Name> & { readonly group: string };

/** Shown before the sum is opened and signed before: whose updates are in it. */
export const survivorsMessage = codec(z.strictObject({ survivors: z.array(groupIdSchema).max(MOST_LISTED) }));

/** The group's signature under who shared and who survived. */
export const consistencyMessage = codec(z.strictObject({ signature: bytes(64) }), MOST_KEYS);

/** A group's name with its signature, as lists of signatures have them. */
export const signatureSchema = z.strictObject({ group: groupIdSchema, signature: bytes(64) });
export type Signature = z.output<typeof signatureSchema>;

/** The lists that a statement is about. */
export interface Lists {
  /** Digest of the roster. */
  readonly roster: string;
  readonly sharers: readonly string[];
  readonly survivors: readonly string[];
}

/** Messages and statements that protocols have in common, each under its own label and with its own X25519 keys. */
export interface SumProtocol<Name extends string> {
  /** Names of the X25519 keys. */
  readonly names: readonly Name[];
  readonly label: string;
  /** First step: the public keys of a group. */
  readonly keysMessage: Codec<Keys<Name>>;
  /** Shown before the second step: all keys, in code-unit order of the groups. */
  readonly rosterMessage: Codec<{ readonly adverts: readonly Advert<Name>[] }>;
  /** A statement that nobody can take for one of another round, attempt, model, protocol or kind. */
  statement(what: string, context: RoundContext, content: object): Uint8Array;
  /** What the signature under a group's keys covers. */
  keysStatement(context: RoundContext, group: string, keys: PublicKeys<Name>): Uint8Array;
  /** What the signatures under the survivors cover: the digest of the roster, and both lists. */
  consistencyStatement(context: RoundContext, lists: Lists): Uint8Array;
}

/** Writes and reads one kind of message; null for what `write` would not have written. */
export interface Codec<Value> {
  write(value: Value): Uint8Array;
  read(content: Uint8Array): Value | null;
}

/** The schemas of keys with 32 bytes under each name, alone and with the group. */
function schemasOf<Name extends string>(names: readonly Name[]) {
  const shape = Object.fromEntries(names.map((name) => [name, bytes(32)]));
  const keys = z.strictObject({ identity: bytes(32), ...shape, signature: bytes(64) });
  const advert: z.ZodType = keys.extend({ group: groupIdSchema });
  // Object.fromEntries forgets the names.
  return {
    keys: keys as z.ZodType as z.ZodType<Keys<Name>>,
    advert: advert as z.ZodType<Advert<Name>>,
  };
}

export function protocolOf<Name extends string>(label: string, names: readonly Name[]): SumProtocol<Name> {
  const schemas = schemasOf(names);
  const statement = (what: string, context: RoundContext, content: object) =>
    Buffer.from(`${label} ${what}\n${canonicalJson({ ...context, ...content })}`, 'utf8');
  return {
    names,
    label,
    keysMessage: codec(schemas.keys, MOST_KEYS),
    rosterMessage: codec(z.strictObject({ adverts: z.array(schemas.advert).max(MOST_LISTED) })),
    statement,
    keysStatement: (context, group, keys) => {
      const named = Object.fromEntries(names.map((name) => [name, hexOf(keys[name])]));
      return statement('keys', context, { group, identity: hexOf(keys.identity), ...named });
    },
    consistencyStatement: (context, { roster, sharers, survivors }) =>
      statement('survivors', context, { roster, sharers, survivors }),
  };
}
