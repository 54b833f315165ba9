import { z } from 'zod';
import { factorOptions } from '../factor/options.ts';
import { type GpoOptions, gpoOptions } from '../gpo/options.ts';

/** Options of `plural`: those of the item memory, and what stands beside it. Defaults were chosen on countries that are not reported on: experiments/pluralllm. */
export const pluralOptions = z.strictObject({
  ...factorOptions.shape,
  rank: factorOptions.shape.rank.default(6),
  initialDeviation: factorOptions.shape.initialDeviation.default(3),
  /**
   * How many respondents an answered question counts as, against the prior of a group's vector. Not learned: the answers of the groups that
   * train are in the memory, so what suits them is too much for a group that is not. Less where most questions were asked of a few groups.
   */
  evidence: factorOptions.shape.evidence.default(5),
  /** How many memories with networks of their own are trained beside each other; a prediction is the mean of theirs. */
  members: z.int().min(1).max(32).default(4),
  /** Hidden layers of the network that reads an item's bias and factors off its features. */
  itemLayers: z.int().min(1).max(8).default(2),
  /** Their width. */
  itemWidth: z.int().min(1).max(4096).default(128),
  /**
   * How many times as far as a weight of the networks a step of the optimiser moves a number of the memory: Adam moves all parameters about
   * as far, and a row is touched once in a while.
   */
  memoryScale: z.number().positive().max(1000).default(25),
  /** Weight of predicting the targets as if nobody had been asked them, against predicting them with what is remembered. */
  unseenWeight: z.number().min(0).max(100).default(1),
  /** Encoder layers of a transformer that reads the context beside it, and its sizes as those of gpo; 0 leaves it out. */
  layers: z.int().min(0).max(96).default(0),
  width: gpoOptions.shape.width.default(64),
  heads: gpoOptions.shape.heads,
  feedforward: gpoOptions.shape.feedforward.default(64),
});

export type PluralOptions = z.output<typeof pluralOptions>;

/** Options of the transformer that reads the context; null where there is none. */
export function transformerOptions({ layers, width, heads, feedforward }: PluralOptions): GpoOptions | null {
  return layers === 0 ? null : gpoOptions.parse({ layers, width, heads, feedforward });
}
