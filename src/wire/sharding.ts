import { z } from 'zod';
import { agreementKeySchema } from './greeting.ts';
import { publicKeySchema, signatureSchema } from './identity.ts';
import { countSchema, digestSchema, runDefinitionSchema } from './run-definition.ts';

/** What keepers and groups of a sharded run and its aggregator say to each other, beside the frames (shard-frame.ts). */

/** A participant of a sharded run: who it is, its X25519 key in this run, and its own signature over both. */
export const seatSchema = z.strictObject({
  id: publicKeySchema,
  agreementKey: agreementKeySchema,
  signature: signatureSchema,
});

/** All seats of a run: who begins to keep each stage, who stands by for which, and the groups. */
export const seatsSchema = z.strictObject({
  keepers: z.array(seatSchema).readonly(),
  standbys: z.array(z.strictObject({ stage: countSchema, seat: seatSchema })).readonly(),
  groups: z.array(seatSchema).readonly(),
});

/** Somebody who took a seat after the run began: a keeper that stands by for a stage, or a group (null). */
export const newcomerSchema = z.strictObject({ seat: seatSchema, stage: countSchema.nullable() });

export const seatsAnswerSchema = z.object({
  /** Those of the beginning; null before it. */
  seats: seatsSchema.nullable(),
  /** In the order in which they came: the list only grows. */
  newcomers: z.array(newcomerSchema).max(4096).readonly(),
});

export const seatRequestSchema = seatSchema.omit({ id: true });
export const seatAnswerSchema = z.object({
  /** The stage that a keeper has for the whole run; null for a group. */
  stage: countSchema.nullable(),
  /** Whether somebody else keeps it, and this one stands by. */
  standby: z.boolean(),
});

export const keeperRequestSchema = z.strictObject({
  token: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
});
export const keeperAnswerSchema = z.object({
  digest: digestSchema,
  /** It had joined before. */
  repeated: z.boolean(),
  definition: runDefinitionSchema,
});

const keepingSchema = z.array(publicKeySchema);
const phaseSchema = z.literal([0, 1]);

/** One attempt of a round's training at the keepers. */
export const roundOrderSchema = z.strictObject({
  round: countSchema.min(1),
  attempt: countSchema,
  groups: z.array(publicKeySchema).min(1),
  learningRates: z.array(z.number().min(0)).min(1),
});

/** What the aggregator asks of a keeper, one thing after the other. */
export const keeperOrderSchema = z.discriminatedUnion('kind', [
  /** Takes note of who keeps the stages from now on. */
  z.strictObject({ kind: z.literal('appoint'), keeping: keepingSchema }),
  z.strictObject({ kind: z.literal('begin'), order: roundOrderSchema }),
  /** Stores the stage after a round, and tells it to those who stand by. */
  z.strictObject({ kind: z.literal('keep') }),
  z.strictObject({ kind: z.literal('probe'), phase: phaseSchema }),
  z.strictObject({ kind: z.literal('turn') }),
  z.strictObject({ kind: z.literal('settle'), keep: z.boolean() }),
]);
export type KeeperOrder = z.output<typeof keeperOrderSchema>;

/** What a keeper says of itself, whenever it has something to say. */
export const keeperStatusSchema = z.strictObject({
  /** Drawn when its process began. */
  session: z.string().regex(/^[0-9a-f]{32}$/),
  epoch: countSchema,
  round: countSchema,
  attempt: z.int().min(0),
  /** Whether all steps of that attempt are taken. */
  done: z.boolean(),
  /** Whether it could keep its stage. */
  holds: z.boolean(),
  /** Public keys of those who may keep a stage and with whom it has no link yet. */
  strangers: z.array(publicKeySchema).max(256),
  /** Whether a morph is not settled. */
  unsettled: z.boolean(),
  /** At the last keeper: the last phase whose probe came out, and what it found. */
  reached: phaseSchema.nullable(),
  verdict: z.enum(['fits', 'differs']).nullable(),
  /** Number of the last order that it carried out, or failed to. */
  answered: countSchema,
  /** Why it failed to; null where it did not. */
  failure: z.strictObject({ code: z.string().max(64), message: z.string().max(1000) }).nullable(),
});
export type KeeperStatus = z.output<typeof keeperStatusSchema>;

/** What is sent to the relay: frames for others, and what a keeper says of itself. */
export const relayedSchema = z.strictObject({
  /** The relay that status and readiness are for; to another they say nothing. */
  relay: z.string().max(64),
  status: keeperStatusSchema.nullable(),
  /** The round and opening that a group is ready to train in, as `round/opening`; null: in none. */
  ready: z
    .string()
    .regex(/^\d{1,10}\/\d{1,10}$/)
    .nullable(),
  frames: z.array(z.instanceof(Uint8Array)).max(4096),
});
export type Relayed = z.output<typeof relayedSchema>;

/** How the training of a sharded run stands. */
export const courseSchema = z.strictObject({
  /** Grows with every change. */
  version: countSchema,
  epoch: countSchema,
  keeping: keepingSchema,
  /** The training of a round, while it is under way and until the next begins; null while there is none. */
  training: z
    .strictObject({
      /** Round and opening of the run that it belongs to. */
      round: countSchema.min(1),
      opening: countSchema.min(1),
      /** How the keepers count it. */
      place: z.strictObject({ round: countSchema.min(1), attempt: countSchema }),
      groups: z.array(publicKeySchema),
      /** Whether all keepers took all steps, and have stored what came of it. */
      complete: z.boolean(),
    })
    .nullable(),
});
export type Course = z.output<typeof courseSchema>;

/** What waits for a participant. */
export const inboxSchema = z.strictObject({
  /** The relay that numbers what follows; another begins anew. */
  relay: z.string().max(64),
  /** Number of the last of these frames, to be acknowledged with the next request. */
  last: countSchema,
  frames: z.array(z.instanceof(Uint8Array)),
  /** How many have taken a seat since the run began. */
  newcomers: countSchema,
  /** For a keeper: the order under way. */
  order: z.strictObject({ number: countSchema.min(1), order: keeperOrderSchema }).nullable(),
  course: courseSchema.nullable(),
});
export type Inbox = z.output<typeof inboxSchema>;

/** What the relay answers to frames. */
export const relayedAnswerSchema = z.object({ taken: countSchema });

export type SeatRequest = z.output<typeof seatRequestSchema>;
export type SeatAnswer = z.output<typeof seatAnswerSchema>;
export type SeatsAnswer = z.output<typeof seatsAnswerSchema>;
export type KeeperAnswer = z.output<typeof keeperAnswerSchema>;

/** What a participant asks for at the relay: what is new since what it has. */
export interface InboxQuery {
  readonly relay: string;
  /** Number of the last frame that it has. */
  readonly after: number;
  /** Version of the course that it knows; 0: none. */
  readonly course: number;
  /** Number of the order that it knows; 0: none. */
  readonly order: number;
  /** How many newcomers it knows of. */
  readonly newcomers: number;
}
