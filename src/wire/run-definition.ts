import { z } from 'zod';
import { digestOf } from '../core/digest.ts';

/** Names a run on its aggregator; stands in paths. */
export const runIdSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a run is named by lower-case letters, digits and hyphens, at most 63');
/** Names a group; any text that can be shown on a line, and that does not turn around the text beside it. */
export const groupIdSchema = z
  .string()
  .min(1)
  .max(256)
  .regex(
    /^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]+$/u,
    'a group id has no control characters, line breaks or marks of direction',
  )
  .regex(/[^\s\p{Cf}]/u, 'a group id has something to be seen')
  // They cannot stand in a path.
  .refine((id) => id !== '.' && id !== '..', 'a group id is not a dot or two');
/** Number of a round, of a step or the like: what the database's whole numbers hold. */
export const countSchema = z
  .int()
  .min(0)
  .max(2 ** 31 - 1);
/** SHA-256 as 64 lower-case hex digits. */
export const digestSchema = z.string().regex(/^[0-9a-f]{64}$/, 'not a SHA-256: 64 hex digits');

const questionSchema = z.strictObject({
  id: z.string().min(1),
  text: z.string(),
  options: z.array(z.string()).min(2),
  topic: z.string().optional(),
});

/** Databases keep no NUL and no half of a surrogate pair; `\p{Cs}` finds only those that stand alone. */
const UNSTORABLE = /[\0\p{Cs}]/u;

/** Without recursion: a plan may be nested deeper than the stack. */
function isStorable(plan: unknown): boolean {
  const left: unknown[] = [plan];
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value === 'string' && UNSTORABLE.test(value)) return false;
    if (typeof value !== 'object' || value === null) continue;
    for (const [key, member] of Object.entries(value)) left.push(key, member);
  }
  return true;
}

/** What a run is about, without its name on the aggregator: what `aggregator start` sends. */
export const runPlanSchema = z
  .strictObject({
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
  })
  .refine(isStorable, 'a text has a NUL or half a character in it');
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
