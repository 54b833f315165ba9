import { z } from 'zod';
import { configDigest } from '../config/config.ts';
import { bytesOf, float32From } from '../core/bytes.ts';
import { digestOf, sha256 } from '../core/digest.ts';
import { invariant, PluralError } from '../core/errors.ts';
import type { CurvePoint } from '../report/record.ts';
import { curvePointSchema } from '../report/record-schema.ts';
import { asStorable, readCheckpoint, type Storable, writeCheckpoint } from '../training/checkpoint.ts';
import type { Experiment } from './experiment.ts';
import { checkpointPath } from './run-folder.ts';

/** Wall-clock seconds of one method by phase. */
export interface PhaseSeconds {
  train: number;
  /** Protecting, encoding and adding updates. */
  aggregate: number;
  evaluate: number;
}

/** How far a trained method is: all that is needed to go on after an interruption. */
export interface Progress {
  round: number;
  /** Mean training loss of each round so far. */
  readonly losses: number[];
  readonly curve: CurvePoint[];
  readonly seconds: PhaseSeconds;
}

/** The progress of a method that has not begun. */
export function freshProgress(): Progress {
  return { round: 0, losses: [], curve: [], seconds: { train: 0, aggregate: 0, evaluate: 0 } };
}

/** Digest of all that a run's numbers depend on: configuration, answers, features. */
export function fingerprintOf({ config, survey, features }: Experiment): string {
  const groups = survey.groups.map(({ id }, index) => [
    id,
    survey.answers[index]!.map(({ question, distribution }) => [question, sha256(bytesOf(distribution))]),
  ]);
  return digestOf([configDigest(config), survey.questions, groups, features.digest]);
}

const progressSchema = z.object({
  round: z.int(),
  losses: z.array(z.number()),
  curve: z.array(curvePointSchema),
  seconds: z.object({ train: z.number(), aggregate: z.number(), evaluate: z.number() }),
});

const envelope = z.object({
  fingerprint: z.string(),
  progress: progressSchema,
  state: z.unknown(),
});

/** A method's checkpoints in one run folder. */
export interface CheckpointStore<State> {
  /** Null where the method has not begun. Errors: CHECKPOINT_MISMATCH, CHECKPOINT_CORRUPT. */
  load(): { readonly progress: Progress; readonly state: State } | null;
  save(progress: Progress, state: Storable): void;
}

/**
 * Checkpoints of one method; `schema` is what the method itself stores beside its progress. With a null fingerprint
 * checkpoints of any settings are read, and none can be written.
 */
export function checkpointStore<State>(
  folder: string,
  method: string,
  fingerprint: string | null,
  schema: z.ZodType<State>,
): CheckpointStore<State> {
  const path = checkpointPath(folder, method);
  return {
    load: () => {
      const content = readCheckpoint(path);
      if (content === null) return null;
      const outer = envelope.safeParse(content);
      const inner = schema.safeParse(outer.data?.state);
      if (!outer.success || !inner.success) {
        throw new PluralError('CHECKPOINT_CORRUPT', `${path} is not a checkpoint of "${method}"`, {
          hint: 'Delete the file to start this part of the run anew; the other parts are kept.',
        });
      }
      if (fingerprint !== null && outer.data.fingerprint !== fingerprint) {
        throw new PluralError('CHECKPOINT_MISMATCH', `${path} belongs to other settings or other data`, {
          hint: 'Resume with the configuration and the data that the run was started with.',
        });
      }
      return { progress: outer.data.progress, state: inner.data };
    },
    save: (progress, state) => {
      invariant(fingerprint !== null, 'a checkpoint needs its fingerprint');
      const { round, losses, curve, seconds } = progress;
      const stored = asStorable({ round, losses, curve, seconds });
      writeCheckpoint(path, { fingerprint, progress: stored, state });
    },
  };
}

/** Bytes in a checkpoint, read as the float32 vector they were. */
export const storedFloats = z.instanceof(Uint8Array).transform((bytes) => float32From(bytes));
