import { SPLITS, type SplitName } from './evaluation.ts';

/** Bins of equal width over [0, 1]. */
const BINS = 15;

/** What was predicted and what was true, by how large a share was predicted: sums over answer options. */
export interface CalibrationBins {
  readonly count: number[];
  readonly predicted: number[];
  readonly observed: number[];
}

export type SplitBins = Readonly<Record<SplitName, CalibrationBins>>;

function emptyBins(): CalibrationBins {
  const zeros = () => Array<number>(BINS).fill(0);
  return { count: zeros(), predicted: zeros(), observed: zeros() };
}

/** Bins without anything in them, for each split. */
export function emptySplits(): SplitBins {
  return { training: emptyBins(), unseen: emptyBins(), 'unseen-questions': emptyBins() };
}

/** Adds a prediction's options to the bins, in place. Both are distributions over the same options. */
export function addPrediction(
  { count, predicted, observed }: CalibrationBins,
  shares: ArrayLike<number>,
  truth: ArrayLike<number>,
): void {
  for (let i = 0; i < shares.length; i++) {
    const bin = Math.min(BINS - 1, Math.floor(shares[i]! * BINS));
    count[bin]!++;
    predicted[bin]! += shares[i]!;
    observed[bin]! += truth[i]!;
  }
}

/** Adds bins to others, in place. */
export function addBins(to: SplitBins, from: SplitBins): void {
  for (const split of SPLITS) {
    for (const sum of ['count', 'predicted', 'observed'] as const) {
      for (let bin = 0; bin < BINS; bin++) to[split][sum][bin]! += from[split][sum][bin]!;
    }
  }
}

/**
 * Expected calibration error of the predicted shares: over bins of what was predicted, the mean of |mean predicted - mean true share|, weighted by how
 * many options fall into each (Guo et al., ICML 2017, with shares of a group's members in the place of hits; all options count, as in Nixon et al., 2019).
 * 0 where shares that are predicted as about p are p on average. Undefined where nothing was predicted.
 */
export function calibrationError({ count, predicted, observed }: CalibrationBins): number | undefined {
  const total = count.reduce((sum, options) => sum + options, 0);
  if (total === 0) return undefined;
  return count.reduce((sum, _, bin) => sum + Math.abs(predicted[bin]! - observed[bin]!) / total, 0);
}
