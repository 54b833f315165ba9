import type { ParameterEntry, ParameterLayout } from '../../predictor/layout.ts';
import type { StagedOptions } from '../../predictor/staged/options.ts';
import { HEAD_NORM } from '../../predictor/staged/parameters.ts';

/**
 * Between any two blocks of a staged transformer there is a space of vectors [width] that can be turned without a change of what the model
 * computes, as long as all tensors that touch it are turned with it. Spaces are numbered along the model: 0 after the front, then two for each layer, the
 * one inside it, after attention, and the one after it. A tensor touches a space along one of its axes.
 */
export interface BoundaryAxis {
  readonly entry: ParameterEntry;
  readonly axis: number;
  readonly space: number;
}

/** Which space each axis of a layer's tensors touches: 0 before the layer, 1 inside it, 2 after it, null: none. */
const LAYER_SPACES: Readonly<Record<string, readonly (number | null)[]>> = {
  norm1: [0, null],
  skip1: [0, 1],
  'out.weight': [null, 1],
  'out.bias': [1],
  norm2: [1, null],
  skip2: [1, 2],
  'linear2.weight': [null, 2],
  'linear2.bias': [2],
};

type Sizes = Pick<StagedOptions, 'stages' | 'layersPerStage' | 'embedderLayers'>;

/** The space at a boundary between parts: 0 between front and first stage, `stages` between last stage and head. */
export function boundarySpace(boundary: number, { layersPerStage }: Pick<Sizes, 'layersPerStage'>): number {
  return 2 * layersPerStage * boundary;
}

/** Spaces inside a stage, which nobody else sees. */
export function innerSpaces(stage: number, sizes: Pick<Sizes, 'layersPerStage'>): number[] {
  const first = boundarySpace(stage, sizes) + 1;
  return Array.from({ length: 2 * sizes.layersPerStage - 1 }, (_, index) => first + index);
}

function spacesOf(
  name: string,
  { stages, layersPerStage, embedderLayers }: Sizes,
): readonly (number | null)[] {
  if (name.startsWith(`embedder.${2 * (embedderLayers - 1)}.`)) return [0, null];
  if (name === HEAD_NORM) return [boundarySpace(stages, { layersPerStage })];
  const [, stage, layer, tensor] = /^stages\.(\d+)\.layers\.(\d+)\.(.+)$/.exec(name) ?? [];
  const first = 2 * (Number(stage) * layersPerStage + Number(layer));
  return (LAYER_SPACES[tensor ?? ''] ?? []).map((space) => (space === null ? null : first + space));
}

/** All axes of a staged layout, of the whole model or of a part, that touch a space. */
export function boundaryAxes(layout: ParameterLayout, sizes: Sizes): BoundaryAxis[] {
  return layout.entries.flatMap((entry) =>
    spacesOf(entry.name, sizes).flatMap((space, axis) => (space === null ? [] : [{ entry, axis, space }])),
  );
}
