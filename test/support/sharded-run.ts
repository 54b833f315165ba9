import { sha256 } from '../../src/core/digest.ts';
import type { ParameterLayout } from '../../src/predictor/layout.ts';
import type { StagedOptions } from '../../src/predictor/staged/options.ts';
import { stagedLayout } from '../../src/predictor/staged/parameters.ts';
import { stageRanges } from '../../src/predictor/staged/parts.ts';
import { LocalShardedRun, type LocalShardedSetup } from '../../src/sharding/local/run.ts';
import type { Floats } from '../../src/sharding/part-session.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import { FEATURE_WIDTH, keyOf } from './sharding.ts';

/** Digest of the run in tests. */
export const RUN = sha256(Buffer.from('a sharded run'));

/** Front, stages and head of a flat vector of the whole model. */
export function cutParameters(options: StagedOptions, parameters: Float32Array) {
  const ranges = stageRanges(stagedLayout(options, FEATURE_WIDTH), options);
  const cut = ({ start, end }: typeof ranges.front) => parameters.slice(start, end);
  return {
    outer: { front: cut(ranges.front), head: cut(ranges.head) },
    stages: ranges.stages.map(cut),
  };
}

/** A sharded run of a tiny model whose stages start from those of `parameters`. */
export function openTinyRun(
  options: StagedOptions,
  stages: readonly Floats[],
  changes: Partial<LocalShardedSetup> = {},
): Promise<LocalShardedRun> {
  return LocalShardedRun.open({
    run: RUN,
    options,
    featureWidth: FEATURE_WIDTH,
    optimizer: ADAM_DEFAULTS,
    groups: ['a', 'b', 'c'],
    frames: 'float32',
    secretOf: (who) => keyOf('secret', who),
    startOf: (stage: number, _layout: ParameterLayout) => stages[stage]!,
    ...changes,
  });
}
