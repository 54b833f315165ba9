import { entryOf, rangeLayout } from '../../src/predictor/layout.ts';
import { stagedLayout } from '../../src/predictor/staged/parameters.ts';
import type { Anatomy } from './shards.ts';

/** What stands in for a stage that an attacker has not got: its flat vector. */

/** A stage that gives on what it gets: nothing is added, and the skips are identities. */
export function identityStage({ options, ranges }: Anatomy, featureWidth: number, stage: number) {
  const layout = rangeLayout(stagedLayout(options, featureWidth), ranges.stages[stage]!);
  const values = new Float64Array(layout.size);
  for (const { name } of layout.entries.filter((entry) => /\.(skip|norm)\d$/.test(entry.name))) {
    const { offset } = entryOf(layout, name);
    for (let i = 0; i < options.width; i++) values[offset + i * (options.width + 1)] = 1;
  }
  return values;
}

/** The mean of some vectors, number by number. */
export function meanStage(vectors: readonly Float64Array[]): Float64Array {
  return vectors[0]!.map((_, at) => vectors.reduce((sum, vector) => sum + vector[at]!, 0) / vectors.length);
}

/** A stage of a model as its own vector. */
export function stageOf({ ranges }: Anatomy, model: Float64Array, stage: number): Float64Array {
  const { start, end } = ranges.stages[stage]!;
  return model.slice(start, end);
}

/** A model with another stage in the place of one. */
export function filledWith(
  { ranges }: Anatomy,
  model: Float64Array,
  stage: number,
  filler: Float64Array,
): Float64Array {
  const filled = model.slice();
  filled.set(filler, ranges.stages[stage]!.start);
  return filled;
}
