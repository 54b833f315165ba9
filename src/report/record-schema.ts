import { z } from 'zod';
import { SPLITS } from '../evaluate/evaluation.ts';
import type { RunRecord } from './record.ts';

const count = z.int().nonnegative();
const amount = z.number().nonnegative();
const splitName = z.enum(SPLITS);

const summary = z.strictObject({
  mean: z.number(),
  worst: z.number(),
  meanOverQuestions: z.number(),
  coefficientOfVariation: amount,
  fairnessIndex: z.number(),
  questionFairness: z.number(),
  meanDistanceBase2: z.number(),
  calibrationError: amount.exactOptional(),
});

const summaries = z.strictObject({
  training: summary.exactOptional(),
  unseen: summary.exactOptional(),
  'unseen-questions': summary.exactOptional(),
});

const groupScore = z.strictObject({
  group: z.string(),
  split: splitName,
  alignment: z.number(),
  distanceBase2: z.number(),
  questions: count,
});

const curvePoint = z.strictObject({ round: count, step: count, loss: z.number().nullable(), summaries });

const method = z.strictObject({
  id: z.string(),
  label: z.string(),
  kind: z.enum(['trained', 'baseline']),
  sees: z.string(),
  curve: z.array(curvePoint),
  scores: z.array(groupScore),
  summaries,
  convergence: z.strictObject({ round: count, step: count, uploadedBytes: amount }).nullable(),
  best: summaries.exactOptional(),
  note: z.string().exactOptional(),
});

const survey = z.strictObject({
  name: z.string(),
  questions: count,
  groups: count,
  answers: count,
  provenance: z.strictObject({ source: z.string(), licence: z.string(), attribution: z.string() }),
});

const bytes = z.strictObject({
  uploadPerGroupPerRound: amount,
  downloadPerGroupPerRound: amount,
  uploadTotal: amount,
  downloadTotal: amount,
  uploadPerParameter: amount,
});

const environment = z.strictObject({
  version: z.string(),
  commit: z.string().nullable(),
  node: z.string(),
  onnxruntime: z.string(),
  platform: z.string(),
  cpu: z.string(),
  cores: count,
  workers: count,
  device: z.string(),
});

/** The strict schema of `result.json`: no unknown member, no number that is not finite. */
export const runRecordSchema: z.ZodType<RunRecord> = z.strictObject({
  format: z.literal(1),
  name: z.string(),
  seed: z.number(),
  configYaml: z.string(),
  configDigest: z.string(),
  modelDigest: z.string(),
  survey,
  // Records from before there was this member are read as having none.
  warnings: z.array(z.string()).default([]),
  split: z.strictObject({
    trainingGroups: z.array(z.string()),
    unseenGroups: z.array(z.string()),
    heldOutQuestions: count,
  }),
  features: z.strictObject({ provider: z.string(), width: count, digest: z.string() }),
  predictor: z.strictObject({ name: z.string(), parameters: count }),
  strategy: z.string(),
  protection: z.strictObject({ name: z.string(), reveals: z.enum(['rows', 'sum']) }),
  rounds: count,
  localSteps: count,
  contextQuestions: count,
  draws: count,
  methods: z.array(method),
  bytes,
  phases: z.array(z.strictObject({ name: z.string(), seconds: amount })),
  environment,
  startedAt: z.iso.datetime({ offset: true }),
  finishedAt: z.iso.datetime({ offset: true }),
});

export { curvePoint as curvePointSchema, groupScore as groupScoreSchema, summaries as summariesSchema };
