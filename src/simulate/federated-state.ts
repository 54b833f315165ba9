import { z } from 'zod';
import { aggregatorStateSchema } from '../round/aggregator-state.ts';
import { strategyStateSchema } from '../strategy/strategy.ts';
import { asStorable } from '../training/checkpoint.ts';
import type { Experiment } from './experiment.ts';
import { keeperMemoriesSchema } from './keeper-memory.ts';
import { type CheckpointStore, checkpointStore, storedFloats } from './progress.ts';

/** What federated training stores beside its progress. */
const federatedStateSchema = z.object({
  aggregator: aggregatorStateSchema,
  strategy: strategyStateSchema,
  parameters: storedFloats,
  /** Of a sharded run: what its keepers go on from. */
  keepers: keeperMemoriesSchema.optional(),
  traffic: z.object({ uploaded: z.number(), downloaded: z.number() }),
  /** What the model was trained on. */
  features: z.object({ width: z.int(), digest: z.string() }),
  predictor: z.object({ name: z.string(), options: z.record(z.string(), z.unknown()) }),
  /** Ids of the groups that trained and of the questions that were kept out of training. */
  split: z.object({ trainingGroups: z.array(z.string()), heldOutQuestions: z.array(z.string()) }),
});
export type FederatedState = z.output<typeof federatedStateSchema>;

/** Name of the method in checkpoints and events. */
export const FEDERATED = 'federated';

/** The checkpoints of federated training; `fingerprint` null reads those of any settings. */
export function federatedStore(folder: string, fingerprint: string | null): CheckpointStore<FederatedState> {
  return checkpointStore(folder, FEDERATED, fingerprint, federatedStateSchema);
}

/** What of an experiment a model belongs to. */
export function trainedOn({ features, predictor, survey, trainingGroups, heldOutQuestions }: Experiment) {
  const { width, digest } = features;
  return {
    features: { width, digest },
    predictor: asStorable({ name: predictor.name, options: predictor.options }),
    split: {
      trainingGroups: trainingGroups.map((group) => survey.groups[group]!.id),
      heldOutQuestions: heldOutQuestions.map((question) => survey.questions[question]!.id),
    },
  };
}
