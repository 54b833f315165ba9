import { z } from 'zod';
import { invariant } from '../core/errors.ts';
import { type Participation, participationSchema } from '../wire/participation.ts';
import { type CollectionStep, collectionStepSchema, quorumOf } from '../wire/step.ts';

/** What a group sent in a step, by the digest of its bytes. */
export interface Reply {
  readonly group: string;
  readonly digest: string;
}

/** All that the aggregator's machine remembers: plain JSON, so that it can be stored at any point. */
export interface AggregatorState {
  readonly phase: 'waiting' | 'collecting' | 'folding' | 'finished' | 'failed' | 'stopped';
  readonly rounds: number;
  /** Fewest replies that make a step. */
  readonly quorum: number;
  /** How each round's groups are drawn; null: every round asks all. */
  readonly participation: Participation | null;
  /** The steps of every round, in order; at least one. */
  readonly steps: readonly CollectionStep[];
  /** Enrolled groups in code-unit order; they take part from the next round on. */
  readonly enrolled: readonly string[];
  /** The round under way or last finished; 0 before the first. */
  readonly round: number;
  /** How often the round was opened; 1 unless it was given up and opened again. */
  readonly attempt: number;
  /** Groups of the round under way, drawn or all, in code-unit order. */
  readonly participants: readonly string[];
  /** Index of the step under way, or of the last one of a round that is folded. */
  readonly step: number;
  /** Groups that the step under way asks, in code-unit order; all that replied are among them. */
  readonly asked: readonly string[];
  /** Accepted replies of every step that began in this round, each in code-unit order of the groups. */
  readonly replies: readonly (readonly Reply[])[];
  /** Why the run failed; null unless it did. */
  readonly failure: string | null;
  /** Whether the round is given up for good: it is folded from nothing, into the model that it went out from. */
  readonly skipped: boolean;
}

const groups = z.array(z.string());
const stateSchema = z.strictObject({
  phase: z.enum(['waiting', 'collecting', 'folding', 'finished', 'failed', 'stopped']),
  rounds: z.int().min(0),
  quorum: z.int().min(1),
  // Earlier versions wrote none.
  participation: participationSchema.nullable().default(null),
  steps: z.array(collectionStepSchema).min(1),
  enrolled: groups,
  round: z.int().min(0),
  attempt: z.int().min(1),
  participants: groups,
  step: z.int().min(0),
  asked: groups,
  replies: z.array(z.array(z.strictObject({ group: z.string(), digest: z.string() }))),
  failure: z.string().nullable(),
  skipped: z.boolean(),
});

/** Reads a stored state; what the machine could not have written in this form is refused. */
export const aggregatorStateSchema: z.ZodType<AggregatorState> = stateSchema
  .refine(({ step, steps }) => step < steps.length, 'no such step')
  .refine(({ phase, failure }) => (phase === 'failed') === (failure !== null), 'a failure has its reason')
  .refine(
    ({ phase, step, replies }) =>
      (phase !== 'collecting' && phase !== 'folding') || replies.length === step + 1,
    'replies of every step that began',
  );

/** The state before anybody enrolled. `quorum` and the number of steps at least 1. */
export function newRun(options: {
  readonly rounds: number;
  readonly quorum: number;
  readonly steps: readonly CollectionStep[];
  /** Left out: null. */
  readonly participation?: Participation | null;
}): AggregatorState {
  const { rounds, quorum, steps, participation = null } = options;
  invariant(quorum >= 1, 'a quorum of at least 1');
  invariant(steps.length >= 1, 'at least one step');
  const round = { round: 0, attempt: 1, participants: [], step: 0, asked: [], replies: [] };
  const run = { rounds, quorum, participation, steps, enrolled: [] };
  return { phase: 'waiting', ...run, ...round, failure: null, skipped: false };
}

/** How many groups must be enrolled before a run begins by itself. */
export function neededToBegin({ participation, quorum }: AggregatorState): number {
  return Math.max(quorum, participation?.begin ?? 0);
}

/** Accepted replies of the step under way. */
export function repliesNow({ replies, step }: AggregatorState): readonly Reply[] {
  return replies[step] ?? [];
}

/** Fewest groups that make a step. */
export function leastOf({ steps, quorum, replies }: AggregatorState, step: number): number {
  // Before the first step is over nobody has replied, and two thirds of nobody is one.
  const first = replies[0]?.length ?? 0;
  const twoThirds = step === 0 ? 1 : quorumOf(first);
  const both = Math.max(quorum, twoThirds);
  const majority = Math.floor(first / 2) + 1;
  const least = { quorum, 'two-thirds': twoThirds, both, majority, any: 1 };
  return least[steps[step]?.least ?? 'quorum'];
}

/** Digest of what a group sent in a step of this round; undefined where it sent nothing. */
export function digestFrom({ replies }: AggregatorState, step: number, group: string): string | undefined {
  return replies[step]?.find((reply) => reply.group === group)?.digest;
}

/** Groups that a collecting step still waits for, in code-unit order. */
export function awaited(state: AggregatorState): string[] {
  if (state.phase !== 'collecting') return [];
  const replied = new Set(repliesNow(state).map(({ group }) => group));
  return state.asked.filter((group) => !replied.has(group));
}
