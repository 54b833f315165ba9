import type { ParameterLayout } from '../predictor/layout.ts';
import type { Predict } from '../predictor/prediction.ts';
import type { KeeperMemory } from '../sharding/keeper/setup.ts';
import type { Storable } from '../training/checkpoint.ts';
import type { Model } from '../wire/stages.ts';

/** Some groups' local training in one round. */
export interface AskedToTrain {
  /** Indices into `Survey.groups`; all of them have answers. */
  readonly groups: readonly number[];
  /** The first is 1. */
  readonly round: number;
  /** Parameters of the model that the round starts from, float32 [layout.size]. */
  readonly received: Float32Array;
}

/** What one group's local training came to. */
export interface TrainedGroup {
  /** Index into `Survey.groups`. */
  readonly group: number;
  /** Parameters after its last step, float32 [layout.size]. */
  readonly parameters: Float32Array;
  /** Mean loss over its steps. */
  readonly loss: number;
  /** Bytes that it exchanged with others while it trained; left out where it trained by itself. */
  readonly traffic?: { readonly sent: number; readonly received: number };
}

/** How the groups of a federated run train, and what predicts with the model that comes of it. */
export interface Learner {
  /** Layout of the vector that the rounds average. */
  readonly layout: ParameterLayout;
  /** The model that the run starts from. */
  initial(): Model;
  /**
   * Local training of some groups from the model of a round. Results are handed over in the order of `groups`, each as soon as its turn has
   * come, so that memory does not grow with the groups. Errors: NOT_FINITE where training diverges, INTERRUPTED, and those of the engine.
   */
  train(asked: AskedToTrain, consume: (trained: TrainedGroup) => void): Promise<void>;
  /** What a model predicts; `parameters` float32 [layout.size]. */
  predictor(parameters: Float32Array): Predict;
  /** What its keepers go on from between rounds, as a checkpoint takes it; null where it has none. */
  memory(): Storable[] | null;
  /** Goes on from that, as it was read again. */
  restore(memories: readonly KeeperMemory[] | null): Promise<void>;
  close(): Promise<void>;
}
