import {
  type Comparison,
  type ComparisonCell,
  type ComparisonRow,
  compareMethods,
  type Measure,
} from '../compare.ts';
import { methodOf } from '../methods.ts';
import type { Figures } from '../record.ts';
import { averageRecords } from './average.ts';
import type { GridRecords, SettingRuns } from './records.ts';
import { formatSpread } from './spread.ts';
import type { GridSummary, SettingSummary } from './summary.ts';

/** One setting as the page and the terminal show it. */
export interface SettingView {
  /** Numbered where there are several, so that a name that is cut still says which. */
  readonly name: string;
  readonly runs: SettingRuns;
  readonly summary: SettingSummary;
  /** Means over the seeds. */
  readonly average: Figures;
}

/** The settings of a grid, in its order. */
export function settingViews({ settings }: GridRecords, summary: GridSummary): readonly SettingView[] {
  return settings.map((runs, i) => ({
    name: settings.length === 1 ? runs.short : `${i + 1}: ${runs.short}`,
    runs,
    summary: summary.settings[i]!,
    average: averageRecords(runs.runs.map(({ record }) => record)),
  }));
}

/** A mean over the seeds; `best` by the mean alone. */
export interface SpreadCell extends ComparisonCell {
  /** "± 0.004"; empty where there is none. */
  readonly spread: string;
}

export interface SpreadRow extends ComparisonRow {
  readonly cells: readonly SpreadCell[];
}

/** A comparison with the spread over the seeds beside each mean. */
export interface SpreadComparison {
  readonly measures: readonly Measure[];
  readonly rows: readonly SpreadRow[];
}

function spreading(comparison: Comparison, summaryOf: (row: number) => SettingSummary): SpreadComparison {
  const { measures } = comparison;
  const rows = comparison.rows.map((row, i) => {
    const own = summaryOf(i).methods.find(({ id }) => id === row.method.id);
    const cells = row.cells.map(({ text, best }, column) => {
      const { split, figure } = measures[column]!;
      return { best, text, spread: formatSpread(own?.splits[split]?.[figure].spread) };
    });
    return { ...row, cells };
  });
  return { measures, rows };
}

/** The methods of one setting, by the given measures or those of a run. */
export function compareIn(
  { average, summary }: SettingView,
  measures?: readonly Measure[],
): SpreadComparison {
  return spreading(compareMethods(average, measures), () => summary);
}

/** Federated training under each setting, one row each in their order. */
export function compareSettings(views: readonly SettingView[]): SpreadComparison {
  const federated = views.flatMap((view) => {
    const method = methodOf(view.average, 'federated');
    return method === undefined ? [] : [{ view, method }];
  });
  const [first] = views;
  if (first === undefined) return { measures: [], rows: [] };
  const figures = { ...first.average, methods: federated.map(({ method }) => method) };
  const comparison = spreading(compareMethods(figures), (row) => federated[row]!.view.summary);
  // Settings may send updates of other sizes.
  const rows = comparison.rows.map((row, i) => ({
    ...row,
    uploaded: compareMethods({ ...federated[i]!.view.average, methods: [row.method] }).rows[0]!.uploaded,
  }));
  return { ...comparison, rows };
}

/** The split that a grid is judged by: the unseen groups where there are any. */
export function mainSplit(views: readonly SettingView[]): 'unseen' | 'training' {
  const unseen = views.some(({ average }) =>
    average.methods.some(({ summaries }) => summaries.unseen !== undefined),
  );
  return unseen ? 'unseen' : 'training';
}

/** The settings by their federated mean on the main split, the best first; of equal ones the earlier. */
export function ranked(views: readonly SettingView[]): readonly SettingView[] {
  const split = mainSplit(views);
  const scoreOf = ({ average }: SettingView) => methodOf(average, 'federated')?.summaries[split]?.mean ?? 0;
  return [...views].sort((a, b) => scoreOf(b) - scoreOf(a));
}
