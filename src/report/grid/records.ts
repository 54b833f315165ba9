import type { RunRecord } from '../record.ts';

/** One key of the configuration and the values that it takes in turn. */
export interface Axis {
  readonly key: string;
  readonly values: readonly unknown[];
}

/** One finished run of a grid. */
export interface CellRun {
  readonly seed: number;
  /** Below the folder of the grid. */
  readonly folder: string;
  readonly record: RunRecord;
}

/** The runs of one setting, one for each seed, in the order of the seeds. */
export interface SettingRuns {
  readonly slug: string;
  readonly label: string;
  /** The label where room is short. */
  readonly short: string;
  /** In the order of the axes. */
  readonly values: readonly unknown[];
  /** Whether each seed drew other training and unseen groups too. */
  readonly seedsDrawSplits: boolean;
  readonly runs: readonly CellRun[];
}

/** A grid that is done: everything that its summary and its page show. */
export interface GridRecords {
  readonly name: string;
  readonly axes: readonly Axis[];
  readonly seeds: readonly number[];
  readonly settings: readonly SettingRuns[];
}
