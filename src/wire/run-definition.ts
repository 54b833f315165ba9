import { z } from 'zod';
import { digestOf } from '../core/digest.ts';

/** Names a run on its aggregator; stands in paths. */
export const runIdSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a run is named by lower-case letters, digits and hyphens, at most 63');
/** Names a group; any text that can be shown on a line. */
export const groupIdSchema = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, 'a group id has no control characters');
/** SHA-256 as 64 lower-case hex digits. */
export const digestSchema = z.string().regex(/^[0-9a-f]{64}$/, 'not a SHA-256: 64 hex digits');

const questionSchema = z.strictObject({
  id: z.string().min(1),
  text: z.string(),
  options: z.array(z.string()).min(2),
  topic: z.string().optional(),
});

/** What a run is about, without its name on the aggregator: what `aggregator start` sends. */
export const runPlanSchema = z.strictObject({
  /** The checked configuration, parsed by config/ on both sides. Paths on anybody's machine are left out. */
  config: z.record(z.string(), z.unknown()),
  /** The questions, without anybody's answers. */
  survey: z.strictObject({
    name: z.string().min(1),
    questions: z.array(questionSchema).min(2).max(100_000),
    /** Ids of the questions that nobody trains on. */
    heldOutQuestions: z.array(z.string()),
  }),
  /** The features that everybody must compute. */
  features: z.strictObject({ provider: z.string(), width: z.int().min(1), digest: digestSchema }),
  /** Length of the flat parameter vector. */
  parameters: z
    .int()
    .min(1)
    .max(2 ** 28),
  /** Fewest groups that make a round; the run starts when as many have joined. */
  quorum: z.int().min(1),
  /** How long a step of a round waits for all, in milliseconds. */
  deadlineMs: z
    .int()
    .min(100)
    .max(366 * 86_400_000),
});
export type RunPlan = z.output<typeof runPlanSchema>;

/** All that those who take part in a run must agree on. Its digest is the run's name in submissions and signatures. */
export const runDefinitionSchema = z.strictObject({
  format: z.literal(1),
  run: runIdSchema,
  /** Drawn by the aggregator: two runs of the same plan are not the same run. */
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  plan: runPlanSchema,
});
export type RunDefinition = z.output<typeof runDefinitionSchema>;

/** SHA-256 of the definition as canonical JSON. */
export function runDigest(definition: RunDefinition): string {
  return digestOf(definition);
}
