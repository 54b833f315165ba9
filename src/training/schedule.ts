/** Learning-rate schedules by name; `warmup-cosine` rises over `warmupSteps`, then falls to 0 like `cosine`. */
export const SCHEDULES = ['constant', 'cosine', 'warmup-cosine'] as const;

export interface ScheduleOptions {
  readonly schedule: (typeof SCHEDULES)[number];
  /** Largest learning rate. */
  readonly learningRate: number;
  /** Steps of the linear rise; used by `warmup-cosine`. */
  readonly warmupSteps: number;
  /**
   * Half period of the cosine in steps; null: the whole run. Shorter than the run, the rate rises again, as in
   * the code published with PluralLLM (100 for 600 steps).
   */
  readonly cosineSteps: number | null;
}

/** Learning rate of step `step` (from 0) in a run of `totalSteps` optimiser steps. */
export function learningRateAt(step: number, totalSteps: number, options: ScheduleOptions): number {
  const { schedule, learningRate, cosineSteps } = options;
  if (schedule === 'constant') return learningRate;
  const warmup = schedule === 'warmup-cosine' ? Math.min(options.warmupSteps, totalSteps) : 0;
  if (step < warmup) return (learningRate * (step + 1)) / warmup;
  const half = cosineSteps ?? Math.max(1, totalSteps - warmup);
  return learningRate * 0.5 * (1 + Math.cos((Math.PI * (step - warmup)) / half));
}
