import { z } from 'zod';
import type { GroupState } from '../round/group.ts';
import { publicKeySchema } from '../wire/identity.ts';
import { type ModelRecord, modelRecordSchema } from '../wire/model-record.ts';
import { groupIdSchema, runDefinitionSchema, runIdSchema } from '../wire/run-definition.ts';

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
  definition: runDefinitionSchema,
});
export type Membership = z.output<typeof membershipSchema>;

const machineSchema: z.ZodType<GroupState> = z.strictObject({
  group: groupIdSchema,
  phase: z.enum(['idle', 'working', 'sending', 'sent', 'finished']),
  round: z.int().min(0),
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
});

/** All that a group remembers of a run beside its definition: plain JSON, stored before anything is done about it. */
export interface GroupRecord {
  readonly format: 1;
  readonly machine: GroupState;
  readonly head: ModelRecord | null;
  readonly scored: number;
  readonly trained: { readonly round: number; readonly loss: number } | null;
  readonly concluded: number;
}
export const groupRecordSchema: z.ZodType<GroupRecord> = recordSchema;

/** What a group remembers when it has just joined. */
export function newRecord(machine: GroupState): GroupRecord {
  return { format: 1, machine, head: null, scored: -1, trained: null, concluded: 0 };
}

/** Where a group keeps what must survive its process: the folder, or memory in tests. All writes are whole or not at all. */
export interface GroupStore {
  loadRecord(): GroupRecord;
  saveRecord(record: GroupRecord): void;
  /** Bytes of the newest model's parameters; null where there are none. What they are is for the reader to check. */
  loadModel(): Uint8Array | null;
  saveModel(bytes: Uint8Array): void;
  /** The submission that is being sent; null where there is none. */
  loadOutbox(): Uint8Array | null;
  saveOutbox(bytes: Uint8Array): void;
  /** The trained model as an ONNX file; returns where it is. */
  saveExport(bytes: Uint8Array): string;
}
