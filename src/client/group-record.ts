import { z } from 'zod';
import type { Ledger } from '../privacy/differential/ledger-schema.ts';
import type { GroupState, Place } from '../round/group.ts';
import { publicKeySchema } from '../wire/identity.ts';
import { type ModelRecord, modelRecordSchema } from '../wire/model-record.ts';
import { digestSchema, groupIdSchema, runDefinitionSchema, runIdSchema } from '../wire/run-definition.ts';

/** The run that a group takes part in: what `group join` learned and checked. */
export const membershipSchema = z.strictObject({
  format: z.literal(1),
  url: z.url({ protocol: /^https?$/ }),
  run: runIdSchema,
  /** The aggregator that the group trusts. */
  aggregatorKey: publicKeySchema,
  group: groupIdSchema,
  /** Certificates in PEM that the aggregator's may come from; null: those of the system. */
  ca: z.string().nullable(),
  /** A file in place of the definition's `features.path`; null where it has none. */
  featuresPath: z.string().nullable(),
  /** Keys of the groups that are accepted, where the group was given a list. */
  peers: z.array(z.tuple([groupIdSchema, publicKeySchema])).nullable(),
  /** Keys of the keepers that it accepts in a sharded run; null: any. */
  keepers: z.array(publicKeySchema).nullable().default(null),
  /** Fewest groups that it takes part with, where updates are hidden among those of others. */
  leastGroups: z.int().min(1),
  definition: runDefinitionSchema,
});
export type Membership = z.output<typeof membershipSchema>;

const machineSchema: z.ZodType<GroupState> = z.strictObject({
  group: groupIdSchema,
  phase: z.enum(['idle', 'working', 'sending', 'sent', 'finished']),
  round: z.int().min(0),
  attempt: z.int().min(1),
  step: z.int().min(0),
});

const recordSchema = z.strictObject({
  format: z.literal(1),
  machine: machineSchema,
  /** The newest model that was checked; null before the first. */
  head: modelRecordSchema.nullable(),
  /** Round of the newest model that was scored and told of; -1 before the first. */
  scored: z.int().min(-1),
  /** Training loss of the round that was worked on last; null before the first. */
  trained: z.strictObject({ round: z.int().min(1), loss: z.number() }).nullable(),
  /** The last round whose end `group round` has waited for. */
  concluded: z.int().min(0),
  attempt: z
    .strictObject({ round: z.int(), attempt: z.int(), secret: z.string().regex(/^[0-9a-f]{64}$/) })
    .nullable(),
  sent: z
    .strictObject({ round: z.int(), attempt: z.int(), digests: z.array(digestSchema.nullable()) })
    .nullable(),
  satOut: z.strictObject({ round: z.int(), attempt: z.int() }).nullable(),
  peers: z.array(z.tuple([groupIdSchema, publicKeySchema])),
});

/** All that a group remembers of a run beside its definition: plain JSON, stored before anything is done about it. */
export interface GroupRecord {
  readonly format: 1;
  readonly machine: GroupState;
  readonly head: ModelRecord | null;
  readonly scored: number;
  readonly trained: { readonly round: number; readonly loss: number } | null;
  readonly concluded: number;
  /** The opening of a round that it takes part in, and the secret that is drawn for it alone. */
  readonly attempt: { readonly round: number; readonly attempt: number; readonly secret: string } | null;
  /** What was sent in each step of an opening of a round, or may have been; null where nothing: nothing else is sent in its place. */
  readonly sent: {
    readonly round: number;
    readonly attempt: number;
    readonly digests: readonly (string | null)[];
  } | null;
  /** The opening of a round that it takes no further part in. */
  readonly satOut: { readonly round: number; readonly attempt: number } | null;
  /** Keys of other groups, as they were first seen. */
  readonly peers: readonly (readonly [group: string, publicKey: string])[];
}
export const groupRecordSchema: z.ZodType<GroupRecord> = recordSchema;

/** What a group remembers when it has just joined. */
export function newRecord(machine: GroupState): GroupRecord {
  const none = { head: null, trained: null, attempt: null, sent: null, satOut: null };
  return { format: 1, machine, ...none, scored: -1, concluded: 0, peers: [] };
}

/** Where a group keeps what must survive its process: the folder, or memory in tests. All writes are whole or not at all. */
export interface GroupStore {
  loadRecord(): GroupRecord;
  saveRecord(record: GroupRecord): void;
  /** Bytes of the newest model's parameters; null where there are none. What they are is for the reader to check. */
  loadModel(): Uint8Array | null;
  saveModel(bytes: Uint8Array): void;
  /** The newest model in clear of a run whose aggregator holds ciphertext, with what the next one follows from; null where there is none. */
  loadClearModel(): Uint8Array | null;
  saveClearModel(bytes: Uint8Array): void;
  /** The submission that is being sent; null where there is none. */
  loadOutbox(): Uint8Array | null;
  saveOutbox(bytes: Uint8Array): void;
  /** What the aggregator showed before a step; null where nothing is kept. */
  loadShown(place: Place): Uint8Array | null;
  saveShown(place: Place, bytes: Uint8Array): void;
  /** Forgets what was shown in any other attempt of any round; null: in all of them. */
  forgetShown(but: Pick<Place, 'round' | 'attempt'> | null): void;
  /**
   * The last round of a run in which the group let a masked update out, 0 before any: it takes part in no other attempt of it. Like the
   * ledger, it outlives what is remembered of the run.
   */
  loadOpened(run: string): number;
  saveOpened(run: string, round: number): void;
  /** What the group spent of its privacy; null before anything. It outlives every run. */
  loadLedger(): Ledger | null;
  saveLedger(ledger: Ledger): void;
  /** The trained model as an ONNX file; returns where it is. */
  saveExport(bytes: Uint8Array): string;
}
