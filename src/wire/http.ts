import { z } from 'zod';
import { HOLDS } from './holds.ts';
import { publicKeySchema } from './identity.ts';
import { invitedRoleSchema } from './invitation.ts';
import { modelRecordSchema } from './model-record.ts';
import {
  countSchema,
  digestSchema,
  groupIdSchema,
  runDefinitionSchema,
  runIdSchema,
  runPlanSchema,
} from './run-definition.ts';

/** Requests and answers of the aggregator, as both sides parse them; OpenAPI is made from the same schemas. */

/** Every error is answered in this form. */
export const errorSchema = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() }),
});

export const aggregatorSchema = z.object({
  name: z.literal('pluralllm'),
  version: z.string(),
  publicKey: publicKeySchema,
  timeMs: z.number(),
  limits: z.object({ chunkBytes: z.int(), uploadBytes: z.int() }),
});

export const phaseSchema = z.enum(['waiting', 'collecting', 'folding', 'finished', 'failed', 'stopped']);

/** Mean over groups of what they say of themselves; nobody's own score. */
export const scoreSummarySchema = z.object({
  round: z.int(),
  groups: z.int(),
  /** Mean alignment score of the groups' own answers under the model of this round. */
  mean: z.number(),
  /** Null where only sums of scores are known. */
  worst: z.number().nullable(),
  coefficientOfVariation: z.number(),
  fairnessIndex: z.number(),
  /** Mean training loss of the round that made this model; null at round 0. */
  loss: z.number().nullable(),
});

export const roundSummarySchema = z.object({
  round: z.int(),
  model: digestSchema,
  updates: z.int(),
  uploadedBytes: z.int(),
  publishedAt: z.number(),
});

export const awaitedSchema = z.object({
  group: z.string(),
  /** Why it is waited for, in words. */
  why: z.string(),
  lastSeenAt: z.number().nullable(),
  /** Of the submission it is sending. */
  uploadedBytes: z.int(),
  uploadBytes: z.int().nullable(),
});

export const runSummarySchema = z.object({
  run: runIdSchema,
  digest: digestSchema,
  phase: phaseSchema,
  round: z.int(),
  rounds: z.int(),
  quorum: z.int(),
  groups: z.int(),
  createdAt: z.number(),
});

export const runStatusSchema = runSummarySchema.extend({
  /** What the round waits for, or why it stands, in one sentence. */
  summary: z.string(),
  step: z.string().nullable(),
  replied: z.int(),
  asked: z.int(),
  awaited: z.array(awaitedSchema),
  deadlineAt: z.number().nullable(),
  failure: z.string().nullable(),
  parameters: z.int(),
  protection: z.string(),
  /** What the aggregator has of the models; where it holds ciphertext it knows no scores either. */
  holds: z.enum(HOLDS).default('clear'),
  strategy: z.string(),
  members: z.array(z.object({ group: z.string(), lastSeenAt: z.number().nullable() })),
  /** Who has a seat to keep a stage of a sharded run, by stage; none in other runs. */
  keepers: z
    .array(
      z.object({
        publicKey: publicKeySchema,
        stage: z.int(),
        /** Whether it keeps the stage now, or stands by. */
        keeps: z.boolean(),
        lastSeenAt: z.number().nullable(),
      }),
    )
    .default([]),
  history: z.array(roundSummarySchema),
  scores: z.array(scoreSummarySchema),
  errors: z.array(
    z.object({ at: z.number(), code: z.string(), message: z.string(), group: z.string().nullable() }),
  ),
});

export const runListSchema = z.object({ runs: z.array(runSummarySchema) });

export const joinRequestSchema = z.strictObject({
  group: groupIdSchema,
  token: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
});
export const joinAnswerSchema = z.object({
  group: groupIdSchema,
  digest: digestSchema,
  /** It had joined before. */
  repeated: z.boolean(),
  definition: runDefinitionSchema,
});

/** What a group needs to know to do its part. */
export const taskSchema = z.object({
  phase: phaseSchema,
  round: z.int(),
  rounds: z.int(),
  /** How often the round was opened. */
  attempt: z.int(),
  step: z.int(),
  /** Whether this group is among those that the step asks. */
  asked: z.boolean(),
  /** Digest of what the aggregator has of this group in this step. */
  replied: digestSchema.nullable(),
  /** The newest model: the one to train from, or the last. */
  model: modelRecordSchema,
  failure: z.string().nullable(),
  deadlineAt: z.number().nullable(),
  /** When to ask again. */
  pollAfterMs: z.int(),
});

export const modelRecordsSchema = z.object({ records: z.array(modelRecordSchema) });

export const uploadRequestSchema = z.strictObject({ digest: digestSchema, size: z.int().min(1) });
export const uploadAnswerSchema = z.object({ received: z.int(), size: z.int(), complete: z.boolean() });

export const submissionRequestSchema = z.strictObject({
  round: countSchema.min(1),
  step: countSchema,
  digest: digestSchema,
});
export const submissionAnswerSchema = z.object({ repeated: z.boolean() });

/** Far above any loss of a predictor that is of use; the mean over all groups stays finite. */
const MOST_LOSS = 1e30;

export const scoreRequestSchema = z.strictObject({
  /** Round of the model that was scored. */
  round: countSchema,
  model: digestSchema,
  alignment: z.number().min(0).max(1),
  questions: countSchema.min(1),
  /** Training loss of the round that this group took part in to make the model; null where it did not. */
  loss: z.number().min(-MOST_LOSS).max(MOST_LOSS).nullable(),
});
export const doneSchema = z.object({ done: z.literal(true) });

export const createRunRequestSchema = z.strictObject({
  name: z.string().min(1).max(64),
  plan: runPlanSchema,
});
export const createRunAnswerSchema = z.object({ run: runIdSchema, digest: digestSchema });

export const inviteRequestSchema = z.strictObject({
  /** Fixes the id of the group; null leaves it to the group. */
  group: groupIdSchema.nullable(),
  count: z.int().min(1).max(10_000),
  expiresInMs: z.int().min(1000),
  /** What it admits as: a group, or a keeper of a sharded run. */
  role: invitedRoleSchema.default('group'),
});
export const inviteAnswerSchema = z.object({
  run: runIdSchema,
  tokens: z.array(z.string()),
  expiresAt: z.number(),
});

export const allowRequestSchema = z.strictObject({ group: groupIdSchema, publicKey: publicKeySchema });

export type AggregatorInfo = z.output<typeof aggregatorSchema>;
export type RunSummary = z.output<typeof runSummarySchema>;
export type RunStatus = z.output<typeof runStatusSchema>;
export type Awaited = z.output<typeof awaitedSchema>;
export type ScoreSummary = z.output<typeof scoreSummarySchema>;
export type RoundSummary = z.output<typeof roundSummarySchema>;
export type JoinRequest = z.output<typeof joinRequestSchema>;
export type JoinAnswer = z.output<typeof joinAnswerSchema>;
export type Task = z.output<typeof taskSchema>;
export type UploadAnswer = z.output<typeof uploadAnswerSchema>;
export type ScoreRequest = z.output<typeof scoreRequestSchema>;
export type CreateRunRequest = z.output<typeof createRunRequestSchema>;
export type InviteRequest = z.input<typeof inviteRequestSchema>;
