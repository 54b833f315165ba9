import type { ParameterRange } from '../../src/predictor/layout.ts';
import type { StagedOptions } from '../../src/predictor/staged/options.ts';
import { stagedLayout } from '../../src/predictor/staged/parameters.ts';
import { type StagedRanges, stageRanges } from '../../src/predictor/staged/parts.ts';
import { type BoundaryAxis, boundaryAxes, boundarySpace } from '../../src/sharding/parts/boundary-axes.ts';
import { turnSpace } from '../../src/sharding/parts/morph.ts';
import type { ShardedModel } from '../../src/sharding/parts/sharded-model.ts';

/** Where the parts of a model stand in its flat vector, which stands for all shards of one epoch, and what they can be turned along. */
export interface Anatomy {
  readonly options: StagedOptions;
  readonly ranges: StagedRanges;
  readonly axes: readonly BoundaryAxis[];
}

/** The anatomy of a staged transformer. */
export function anatomyOf(options: StagedOptions, featureWidth: number): Anatomy {
  const layout = stagedLayout(options, featureWidth);
  return { options, ranges: stageRanges(layout, options), axes: boundaryAxes(layout, options) };
}

/** All shards of a sharded model as one flat vector. */
export function shardsOf({ front, stages, head }: ShardedModel): Float64Array {
  return Float64Array.from([front, ...stages, head].flatMap((part) => [...part.masters()]));
}

/** One model from one vector for each stage; the front is of the first stage's, the head of the last one's, so that both fit. */
export function stitchedFrom({ ranges }: Anatomy, stages: readonly Float64Array[]): Float64Array {
  const result = stages[0]!.slice();
  const put = (from: Float64Array, { start, end }: ParameterRange) =>
    result.set(from.subarray(start, end), start);
  for (const [stage, range] of ranges.stages.entries()) put(stages[stage]!, range);
  put(stages.at(-1)!, ranges.head);
  return result;
}

/** A copy with the exit of a stage, counted from 0, turned by T [d, d], and nobody's entry. */
export function withExitTurned(
  { options, ranges, axes }: Anatomy,
  model: Float64Array,
  stage: number,
  rotation: Float64Array,
): Float64Array {
  const { start, end } = ranges.stages[stage]!;
  const own = axes.filter(({ entry }) => start <= entry.offset && entry.offset < end);
  const turned = model.slice();
  turnSpace(turned, own, boundarySpace(stage + 1, options), rotation);
  return turned;
}
