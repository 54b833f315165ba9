import { sha256 } from '../../src/core/digest.ts';
import type { ParameterLayout } from '../../src/predictor/layout.ts';
import type { StagedOptions } from '../../src/predictor/staged/options.ts';
import { stagedLayout } from '../../src/predictor/staged/parameters.ts';
import { stageRanges } from '../../src/predictor/staged/parts.ts';
import { keyPairOf } from '../../src/privacy/secure-sum/key-agreement.ts';
import { Link } from '../../src/sharding/frames/link.ts';
import { sealFrame } from '../../src/sharding/frames/sealed-frame.ts';
import { ownKey } from '../../src/sharding/keeper/secret-stage.ts';
import { LocalShardedRun, type LocalShardedSetup } from '../../src/sharding/local/run.ts';
import type { Floats } from '../../src/sharding/parts/part-session.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import { identityOf } from '../../src/wire/identity.ts';
import type { FrameHeader } from '../../src/wire/shard-frame.ts';
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
    most: { context: 64, target: 64 },
    leastGroups: 0,
    secretOf: (who) => keyOf('secret', who),
    startOf: (stage: number, _layout: ParameterLayout) => stages[stage]!,
    ...changes,
  });
}

/** What a participant of a tiny run has: its identity and keys, and its link with another in epoch 0. */
export function participantOf({ seats }: LocalShardedRun, name: string, { width }: StagedOptions) {
  const secret = keyOf('secret', name);
  const identity = identityOf(Buffer.from(ownKey(secret, 'identity')).toString('hex'));
  const keys = keyPairOf(ownKey(secret, 'agreement'));
  const bound = { run: RUN, seats, frames: 'float32', width };
  const linkWith = (other: string) => {
    const seat = [...seats.keepers, ...seats.groups].find(({ id }) => id === other)!;
    return Link.between(bound, { id: identity.publicKey, keys }, seat);
  };
  /** A frame to a neighbour, with the header that `changes` makes of an ordinary one. */
  const frameTo = (to: string, data: Float32Array, changes: Partial<FrameHeader>): Uint8Array => {
    const header: FrameHeader = {
      ...{ run: RUN, kind: 'forward', epoch: 0, round: 1, attempt: 0, step: 0, boundary: 0 },
      ...{ group: identity.publicKey, from: identity.publicKey, to, type: 'float32', sequence: 0 },
      ...{ rows: data.length / width, width, context: 5, target: 3 },
      ...changes,
    };
    return sealFrame({ data, rows: header.rows, width }, header, linkWith(to), identity);
  };
  return { identity, keys, frameTo };
}
