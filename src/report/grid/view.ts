import { type Comparison, compareMethods } from '../compare.ts';
import { methodOf } from '../methods.ts';
import type { Figures } from '../record.ts';
import { averageRecords } from './average.ts';
import type { GridRecords, SettingRuns } from './records.ts';
import { withSpread } from './spread.ts';
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

/** A comparison whose cells have the spread over the seeds behind the mean; a best cell is one by its mean. */
function spreading(comparison: Comparison, summaryOf: (row: number) => SettingSummary): Comparison {
  const { measures } = comparison;
  const rows = comparison.rows.map((row, i) => {
    const own = summaryOf(i).methods.find(({ id }) => id === row.method.id);
    const cells = row.cells.map(({ text, best }, column) => {
      const { split, figure } = measures[column]!;
      return { best, text: withSpread(text, own?.splits[split]?.[figure].spread) };
    });
    return { ...row, cells };
  });
  return { measures, rows };
}

/** The methods of one setting. */
export function compareIn({ average, summary }: SettingView): Comparison {
  return spreading(compareMethods(average), () => summary);
}

/** Federated training under each setting, one row each in their order. */
export function compareSettings(views: readonly SettingView[]): Comparison {
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
