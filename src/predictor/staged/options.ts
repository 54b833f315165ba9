import { z } from 'zod';
import { gpoOptions } from '../gpo/options.ts';

const { shape } = gpoOptions;

/** Fewest stages: of two, each would have a neighbour on one side only, which the data's side has on the other. */
const LEAST_STAGES = 3;
/** Together no more layers than gpo may have. */
const MOST_STAGES = 16;
const MOST_LAYERS_PER_STAGE = 6;

/** Options of the staged transformer: those of gpo, but for where it can be cut. */
export const stagedOptions = z.strictObject({
  /** Stages between the embedder and the head, each of which a keeper can hold. */
  stages: z.int().min(LEAST_STAGES).max(MOST_STAGES).default(3),
  /** Layers of each. */
  layersPerStage: z.int().min(1).max(MOST_LAYERS_PER_STAGE).default(2),
  width: shape.width,
  heads: shape.heads,
  feedforward: shape.feedforward,
  embedderLayers: shape.embedderLayers,
  loss: shape.loss,
  stdFloor: shape.stdFloor,
});

export type StagedOptions = z.output<typeof stagedOptions>;
