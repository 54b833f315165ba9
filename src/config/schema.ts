import { z } from 'zod';
import { FEATURE_STORAGE } from '../training/feature-storage.ts';
import { SCHEDULES } from '../training/schedule.ts';
import { HOLDS } from '../wire/holds.ts';
import { digestSchema } from '../wire/run-definition.ts';
import { FRAME_TYPES } from '../wire/shard-frame.ts';

/** Baselines and comparisons that a run may make beside the federated training. */
export const COMPARISONS = [
  'centralised',
  'centralised-round-matched',
  'local-only',
  'uniform',
  'group-mean',
  'similarity-mean',
] as const;
export type Comparison = (typeof COMPARISONS)[number];

const groupChoice = z.union([z.int().min(1), z.array(z.string()).min(1)], {
  error: 'expected a number of groups, at least 1, or a list of group ids',
});
const range = z
  .tuple([z.int().min(1), z.int().min(1)])
  .refine(([min, max]) => min <= max, { message: 'the first number must not exceed the second' });

/** A plug-in by name; its other keys are its options and are parsed by the plug-in's own schema. Its name alone takes all options as they are. */
const plugin = (name: string) =>
  z.preprocess(
    (given) => (typeof given === 'string' ? { name: given } : given),
    z.looseObject({ name: z.string().default(name) }).prefault({}),
  );

/** An experiment. Every key has a default but `data.groups`, and `data.survey` or `data.path`; unknown keys are refused. */
export const configSchema = z.strictObject({
  name: z.string().min(1).default('run'),
  seed: z.int().min(0).default(0),
  data: z.strictObject({
    /** A shipped survey's name, or the folder of an imported one. */
    survey: z.string().min(1).nullable().default(null),
    /** A file or export folder to import on the fly, instead of `survey`. */
    path: z.string().min(1).nullable().default(null),
    /** Format of `path`. */
    format: z.string().default('auto'),
    /** Options of the importer. */
    options: z.record(z.string(), z.unknown()).default({}),
    /** Groups that train and groups that nobody sees before evaluation: numbers (drawn by seed) or names. */
    groups: z.strictObject({ training: groupChoice, unseen: groupChoice }),
    /** Seed of the split; null: the run's. Fix it to vary training alone. */
    splitSeed: z.int().min(0).nullable().default(null),
    /** Share of the questions kept out of training, for the split `unseen-questions`. */
    heldOutQuestions: z.number().min(0).max(0.9).default(0),
  }),
  features: plugin('lexical'),
  predictor: plugin('gpo'),
  training: z
    .strictObject({
      rounds: z.int().min(1).default(100),
      /** Optimiser steps of a group per round; one task each. */
      localSteps: z.int().min(1).default(6),
      learningRate: z.number().positive().default(3e-4),
      schedule: z.enum(SCHEDULES).default('constant'),
      warmupSteps: z.int().min(0).default(0),
      cosineSteps: z.int().min(1).nullable().default(null),
      weightDecay: z.number().min(0).default(0),
      /** Questions drawn per task, inclusive ranges. */
      contextQuestions: range.default([10, 100]),
      targetQuestions: range.default([10, 100]),
    })
    .prefault({}),
  /** Middle stages of the predictor with keepers, none of whom has two; null: every group has the whole predictor. */
  sharding: z
    .strictObject({
      /** Rounds of an epoch, after which all stages are morphed. */
      epochRounds: z.int().min(1).default(1),
      /** Numbers in the frames between parts: whole, or a byte each. */
      frames: z.enum(FRAME_TYPES).default('float32'),
      /** Noise on frames and gradients that leave a group, in units of their root mean square: hides answers from keepers and costs alignment. */
      cutNoise: z.number().min(0).max(10).default(0),
      /** Keepers that stand by in a deployed run, each for a stage: it waits for as many, and takes no more. */
      standbys: z.int().min(0).max(64).default(0),
      /** Keepers that may take a seat after the run began, each of whom stands by for a stage from then on. */
      lateKeepers: z.int().min(0).max(64).default(0),
      /** Groups that may take a seat after the run began. */
      lateGroups: z.int().min(0).max(4000).default(16),
      /** How long a keeper or group of a deployed run may not be heard of before the training goes on without it. */
      patienceSeconds: z.number().min(1).max(86_400).default(20),
      /** Most passes of predictions that keepers of a deployed run make for one group between two rounds. */
      queriesPerRound: z.int().min(0).max(1_000_000).default(1000),
    })
    .nullable()
    .default(null),
  /** Which groups a round asks, and how the rounds of a deployed run wait for them; in a simulated run all that are asked answer. */
  round: z
    .strictObject({
      /** Share of the groups that each round asks, rounded up and drawn by `seed`; 1: all. */
      participation: z.number().gt(0).max(1).default(1),
      /** Fewest groups that make a round; null: as many as a round asks of those that `data.groups.training` says. */
      quorum: z.int().min(1).nullable().default(null),
      /** How long a step waits for all before the quorum is enough. */
      deadlineSeconds: z.number().min(0.1).max(31_622_400).default(86_400),
    })
    .prefault({}),
  /** How much of an update each round sends. */
  updates: z
    .strictObject({
      /** A round sends one of so many random parts of the parameters, and so many rounds send each once; 1: all of them. */
      parts: z.int().min(1).max(1024).default(1),
    })
    .prefault({}),
  strategy: plugin('fedavg'),
  protection: plugin('mask'),
  aggregator: z
    .strictObject({
      /** What the aggregator has of the models; ciphertext: sums of updates that only the groups open. */
      holds: z.enum(HOLDS).default('clear'),
      /** Fingerprint of the readers' key of a deployed run whose aggregator holds ciphertext; a simulated run makes its own key. */
      readers: digestSchema.nullable().default(null),
    })
    .prefault({}),
  evaluation: z
    .strictObject({
      /** Rounds between evaluations; the last round is always evaluated. */
      every: z.int().min(1).default(10),
      /** Questions whose answers a group tells. */
      contextQuestions: z.int().min(1).default(20),
      /** Context choices per group that scores are averaged over. */
      draws: z.int().min(1).default(5),
    })
    .prefault({}),
  compare: z
    .array(z.enum(COMPARISONS))
    .refine((list) => new Set(list).size === list.length, { message: 'names a comparison twice' })
    .default([...COMPARISONS]),
  runtime: z
    .strictObject({
      /** One of DEVICES; what is not there is refused with its own code. */
      device: z.string().default('auto'),
      /** Worker threads; `auto`: one per core, and one on other devices. Does not change a single bit of the result. */
      workers: z
        .union([z.literal('auto'), z.int().min(1).max(256)], {
          error: 'expected "auto" or a number from 1 to 256',
        })
        .default('auto'),
      /** How devices that keep the feature vectors store them; float16 takes half the memory and keeps three digits. The CPU has no use for it. */
      features: z.enum(FEATURE_STORAGE).default('float32'),
    })
    .prefault({}),
  /** Run folder; null: `runs/<name>`. */
  output: z.string().nullable().default(null),
});

export type ConfigFields = z.output<typeof configSchema>;
