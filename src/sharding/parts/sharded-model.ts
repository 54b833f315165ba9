import { invariant } from '../../core/errors.ts';
import type { StagedOptions } from '../../predictor/staged/options.ts';
import { stagedLayout } from '../../predictor/staged/parameters.ts';
import { stagedParts, stageRanges } from '../../predictor/staged/parts.ts';
import { Front } from './front.ts';
import { Head } from './head.ts';
import { morphFrom } from './morph.ts';
import type { PartOpening } from './part-opening.ts';
import type { Floats } from './part-session.ts';
import { Stage } from './stage.ts';

/** All parts of one model in one process: for tests and simulations, for whoever has all of them has the model. */
export interface ShardedModel {
  readonly front: Front;
  readonly stages: readonly Stage[];
  readonly head: Head;
}

/** How all parts are opened. */
export interface ShardedSetup extends Omit<PartOpening, 'layout' | 'options' | 'parameters'> {
  readonly options: StagedOptions;
  readonly featureWidth: number;
  /** The whole flat vector of `stagedLayout`. */
  readonly parameters: Floats;
}

/** Cuts a model and opens its parts. Errors: ENGINE_FAILED. */
export async function openSharded({
  featureWidth,
  parameters,
  ...setup
}: ShardedSetup): Promise<ShardedModel> {
  const layout = stagedLayout(setup.options, featureWidth);
  const ranges = stageRanges(layout, setup.options);
  const parts = stagedParts(layout, setup.options);
  const cut = ({ start, end }: typeof ranges.front) => parameters.subarray(start, end);
  const [front, head, ...stages] = await Promise.all([
    Front.open({ ...setup, layout: parts.front, parameters: cut(ranges.front) }, featureWidth),
    Head.open({ ...setup, layout: parts.head, parameters: cut(ranges.head) }, featureWidth),
    ...parts.stages.map((part, index) =>
      Stage.open({ ...setup, layout: part, parameters: cut(ranges.stages[index]!) }, index),
    ),
  ]);
  return { front, stages, head };
}

/** Morphs the boundary between parts `boundary` and `boundary` + 1, counted with the front as 0, from a key of 32 bytes that both sides share. */
export function morphBoundary(
  { front, stages, head }: ShardedModel,
  boundary: number,
  key: Uint8Array,
  width: number,
): void {
  const [before, after] = [stages[boundary - 1], stages[boundary]];
  invariant(before !== undefined || boundary === 0, `no boundary ${boundary}`);
  // Each side works out the rotation for itself, as two keepers do.
  (before ?? front).foldExit(morphFrom(key, width));
  (after ?? head).foldEntry(morphFrom(key, width));
}

/** Closes the sessions of all parts. */
export async function closeSharded({ front, stages, head }: ShardedModel): Promise<void> {
  await Promise.all([front, ...stages, head].map((part) => part.close()));
}
