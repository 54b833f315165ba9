import { formatScore } from '../format.ts';

/** A figure over the seeds of a setting. */
export interface Spread {
  /** In the order of the seeds; null where a run has no such figure. */
  readonly perSeed: readonly (number | null)[];
  /** Of the runs that have the figure; null where none has. */
  readonly mean: number | null;
  /** Sample standard deviation, with n - 1; null for fewer than two figures. */
  readonly spread: number | null;
}

/** Mean and spread of a figure, of which runs may have none. */
export function spreadOf(figures: readonly (number | null | undefined)[]): Spread {
  const perSeed = figures.map((figure) => figure ?? null);
  const known = perSeed.filter((figure) => figure !== null);
  if (known.length === 0) return { perSeed, mean: null, spread: null };
  const mean = known.reduce((sum, figure) => sum + figure, 0) / known.length;
  const squares = known.reduce((sum, figure) => sum + (figure - mean) ** 2, 0);
  return { perSeed, mean, spread: known.length < 2 ? null : Math.sqrt(squares / (known.length - 1)) };
}

/** "± 0.004", which no line break divides; empty where there is no spread. */
export function formatSpread(spread: number | null | undefined): string {
  return spread === null || spread === undefined ? '' : `±\u00a0${formatScore(spread)}`;
}
