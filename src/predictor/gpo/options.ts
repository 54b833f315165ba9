import { z } from 'zod';
import { PluralError } from '../../core/errors.ts';

/** Far above the paper's sizes: a plan from elsewhere cannot ask an aggregator for a layout that fills its memory. */
const MOST_WIDTH = 8192;
const MOST_LAYERS = 96;

/**
 * Options of the GPO transformer (Zhao et al., "Group Preference Optimization", ICLR 2024), the predictor of
 * PluralLLM (arXiv 2503.09925, section 3). Defaults are the paper's, but for `stdFloor` and `identicalLayers`:
 * the published code leaves the variance unbounded and starts all encoder layers with the same weights.
 */
export const gpoOptions = z.strictObject({
  /** Width of the tokens inside the transformer. */
  width: z.int().min(1).max(MOST_WIDTH).default(128),
  /** Encoder layers. */
  layers: z.int().min(1).max(MOST_LAYERS).default(6),
  /** Attention heads; divides `width`. */
  heads: z.int().min(1).max(MOST_WIDTH).default(4),
  /** Hidden width of the feed-forward blocks and of the output head. */
  feedforward: z.int().min(1).max(MOST_WIDTH).default(128),
  /** Linear layers of the embedder. */
  embedderLayers: z.int().min(2).max(MOST_LAYERS).default(4),
  /** Normalisation after each block (paper) or before it, with one at the end. */
  norm: z.enum(['post', 'pre']).default('post'),
  /** Gaussian negative log-likelihood of each share (paper), or KL divergence to the answer distribution. */
  loss: z.enum(['nll', 'kl']).default('nll'),
  /** Lowest predicted standard deviation; 0 leaves it unbounded, as the published code does. */
  stdFloor: z.number().min(0).max(1).default(0.01),
  /** Start every encoder layer with the same weights, as the published code does. */
  identicalLayers: z.boolean().default(false),
});

export type GpoOptions = z.output<typeof gpoOptions>;

/** Torch's default epsilon of LayerNorm. */
export const NORM_EPSILON = 1e-5;

/** Each head takes an equal share of the width. Errors: CONFIG_INVALID. */
export function checkHeads({ width, heads }: Pick<GpoOptions, 'width' | 'heads'>): void {
  if (width % heads === 0) return;
  throw new PluralError('CONFIG_INVALID', `predictor: width ${width} is not a multiple of heads ${heads}`, {
    hint: 'Each head takes an equal share of the width; choose, for instance, width 64 with 4 heads.',
  });
}
