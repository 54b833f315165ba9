import { layOut, type ParameterLayout, type ParameterRange, rangeLayout } from '../layout.ts';
import type { StagedOptions } from './options.ts';
import { stagePrefix } from './parameters.ts';

/** The parts of a staged transformer as ranges of its flat vector: front, stages and head tile it in this order. */
export interface StagedRanges {
  readonly front: ParameterRange;
  readonly stages: readonly ParameterRange[];
  readonly head: ParameterRange;
}

/** Where each part stands in the flat vector of `stagedLayout`. */
export function stageRanges(
  layout: ParameterLayout,
  { stages }: Pick<StagedOptions, 'stages'>,
): StagedRanges {
  const starts = Array.from({ length: stages }, (_, stage) => {
    const first = layout.entries.find(({ name }) => name.startsWith(stagePrefix(stage)));
    return first!.offset;
  });
  const last = layout.entries.findLast(({ name }) => name.startsWith(stagePrefix(stages - 1)))!;
  const ends = [...starts.slice(1), last.offset + last.size];
  return {
    front: { start: 0, end: starts[0]! },
    stages: starts.map((start, stage) => ({ start, end: ends[stage]! })),
    head: { start: ends.at(-1)!, end: layout.size },
  };
}

/** The layout of front and head, one after the other: what the groups hold and average. */
export function outerLayout(
  layout: ParameterLayout,
  options: Pick<StagedOptions, 'stages'>,
): ParameterLayout {
  const { front, head } = stagedParts(layout, options);
  return layOut([...front.entries, ...head.entries]);
}

/** The layouts of the parts, each of a flat vector of its own; tensors keep their names. */
export function stagedParts(layout: ParameterLayout, options: Pick<StagedOptions, 'stages'>) {
  const ranges = stageRanges(layout, options);
  return {
    front: rangeLayout(layout, ranges.front),
    stages: ranges.stages.map((range) => rangeLayout(layout, range)),
    head: rangeLayout(layout, ranges.head),
  };
}
