import { randomStream } from '../../src/core/random.ts';
import type { Batch } from '../../src/predictor/batch.ts';
import type { StagedOptions } from '../../src/predictor/staged/options.ts';
import { morphFrom } from '../../src/sharding/parts/morph.ts';
import {
  closeSharded,
  morphBoundary,
  openSharded,
  type ShardedModel,
} from '../../src/sharding/parts/sharded-model.ts';
import { shardedStep } from '../../src/sharding/parts/sharded-step.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import { shardsOf } from './shards.ts';

/** What is trained, from what, and how long. */
export interface Course {
  readonly options: StagedOptions;
  readonly featureWidth: number;
  /** The whole flat vector to begin with. */
  readonly start: Float64Array | Float32Array;
  readonly seed: number;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  readonly tasksOf: (step: number) => readonly Batch[];
  readonly learningRateOf: (step: number) => number;
  /** Whether each keeper turns its exit before the first step, and all spaces are morphed after each epoch. */
  readonly morphs: boolean;
}

/** A key of 32 bytes: of an experiment, so from the seed. */
function keyOf(seed: number, ...path: readonly (string | number)[]): Uint8Array {
  const random = randomStream(seed, 'key', ...path);
  return Uint8Array.from({ length: 32 }, () => random.below(256));
}

/** The turn of ADR 15 against what skips tell: each keeper's exit, and nobody's entry. */
function turnExits({ stages }: ShardedModel, width: number, seed: number): void {
  for (const [index, stage] of stages.entries()) {
    stage.foldExit(morphFrom(keyOf(seed, 'private exit', index), width));
  }
}

function morphAll(model: ShardedModel, { stages, width }: StagedOptions, seed: number, epoch: number): void {
  for (let boundary = 0; boundary <= stages; boundary++) {
    morphBoundary(model, boundary, keyOf(seed, epoch, 'boundary', boundary), width);
  }
  for (const [index, stage] of model.stages.entries()) stage.foldInside(keyOf(seed, epoch, 'inside', index));
}

/** Trains in parts and gives all shards at the end of each epoch, before the morph that begins the next one. Errors: ENGINE_FAILED. */
export async function trainedEpochs(course: Course): Promise<Float64Array[]> {
  const { options, featureWidth, start: parameters, seed, epochs, stepsPerEpoch, morphs } = course;
  const model = await openSharded({ options, featureWidth, parameters, optimizer: ADAM_DEFAULTS });
  const snapshots: Float64Array[] = [];
  if (morphs) turnExits(model, options.width, seed);
  for (let epoch = 0; epoch < epochs; epoch++) {
    if (morphs && epoch > 0) morphAll(model, options, seed, epoch);
    for (let step = epoch * stepsPerEpoch; step < (epoch + 1) * stepsPerEpoch; step++) {
      await shardedStep(model, course.tasksOf(step), course.learningRateOf(step));
    }
    snapshots.push(shardsOf(model));
  }
  await closeSharded(model);
  return snapshots;
}
