import { SPLITS, type SplitName, type Summary } from '../../evaluate/evaluation.ts';
import type { MethodRecord, RunRecord } from '../record.ts';
import { eachFigure } from './figures.ts';
import type { Axis, GridRecords, SettingRuns } from './records.ts';
import { type Spread, spreadOf } from './spread.ts';

/** The figures of one split, each over the seeds. */
export type SplitSpread = Readonly<Record<keyof Summary, Spread>>;

/** One method of a setting over the seeds. */
export interface MethodSummary {
  readonly id: string;
  readonly label: string;
  readonly splits: Readonly<Partial<Record<SplitName, SplitSpread>>>;
  /** Where the curve had made 95% of its final improvement; null for a seed with which it never improved. */
  readonly convergence: { readonly round: Spread; readonly step: Spread; readonly uploadedBytes: Spread };
}

/** One setting over the seeds. */
export interface SettingSummary {
  readonly slug: string;
  readonly label: string;
  readonly values: readonly unknown[];
  readonly seedsDrawSplits: boolean;
  readonly methods: readonly MethodSummary[];
  /** Bytes of one training group over the whole run. */
  readonly bytes: { readonly uploadedPerGroup: Spread; readonly downloadedPerGroup: Spread };
  /** Wall-clock time of a run, comparisons included. */
  readonly seconds: Spread;
}

/** One run of a grid, and what it takes to tell whether another is the same. */
export interface CellSummary {
  readonly folder: string;
  readonly setting: string;
  readonly seed: number;
  readonly configDigest: string;
  readonly modelDigest: string;
  readonly version: string;
  readonly commit: string | null;
}

/** What a grid leaves in `summary.json`. */
export interface GridSummary {
  readonly format: 1;
  readonly name: string;
  readonly axes: readonly Axis[];
  readonly seeds: readonly number[];
  readonly settings: readonly SettingSummary[];
  readonly cells: readonly CellSummary[];
}

function splitSpread(
  methods: readonly (MethodRecord | undefined)[],
  split: SplitName,
): SplitSpread | undefined {
  const summaries = methods.map((method) => method?.summaries[split]);
  if (summaries.every((summary) => summary === undefined)) return undefined;
  return eachFigure((figure) => spreadOf(summaries.map((summary) => summary?.[figure])));
}

/** One method's records, one for each run; undefined where a run lacks it. */
export function methodOver(records: readonly RunRecord[], id: string): readonly (MethodRecord | undefined)[] {
  return records.map(({ methods }) => methods.find((method) => method.id === id));
}

/** Ids of all methods that any of the runs has, in the order in which they come up. */
export function methodIds(records: readonly RunRecord[]): readonly string[] {
  return [...new Set(records.flatMap(({ methods }) => methods.map(({ id }) => id)))];
}

function methodSummary(records: readonly RunRecord[], id: string): MethodSummary {
  const methods = methodOver(records, id);
  const splits = SPLITS.flatMap((split) => {
    const spread = splitSpread(methods, split);
    return spread === undefined ? [] : [[split, spread] as const];
  });
  const points = methods.map((method) => method?.convergence);
  return {
    id,
    label: methods.find((method) => method !== undefined)?.label ?? id,
    splits: Object.fromEntries(splits),
    convergence: {
      round: spreadOf(points.map((point) => point?.round)),
      step: spreadOf(points.map((point) => point?.step)),
      uploadedBytes: spreadOf(points.map((point) => point?.uploadedBytes)),
    },
  };
}

function perGroup({ bytes, split }: RunRecord, total: 'uploadTotal' | 'downloadTotal'): number | null {
  const groups = split.trainingGroups.length;
  return groups === 0 ? null : bytes[total] / groups;
}

function settingSummary({ slug, label, values, seedsDrawSplits, runs }: SettingRuns): SettingSummary {
  const records = runs.map(({ record }) => record);
  return {
    slug,
    label,
    values,
    seedsDrawSplits,
    methods: methodIds(records).map((id) => methodSummary(records, id)),
    bytes: {
      uploadedPerGroup: spreadOf(records.map((record) => perGroup(record, 'uploadTotal'))),
      downloadedPerGroup: spreadOf(records.map((record) => perGroup(record, 'downloadTotal'))),
    },
    seconds: spreadOf(records.map(({ phases }) => phases.reduce((sum, { seconds }) => sum + seconds, 0))),
  };
}

function cellSummaries({ slug, runs }: SettingRuns): CellSummary[] {
  return runs.map(({ seed, folder, record }) => ({
    folder,
    setting: slug,
    seed,
    configDigest: record.configDigest,
    modelDigest: record.modelDigest,
    version: record.environment.version,
    commit: record.environment.commit,
  }));
}

/** Every figure of a grid over its seeds. A function of the records alone: no time but that of the runs. */
export function summariseGrid({ name, axes, seeds, settings }: GridRecords): GridSummary {
  return {
    format: 1,
    name,
    axes,
    seeds,
    settings: settings.map(settingSummary),
    cells: settings.flatMap(cellSummaries),
  };
}
