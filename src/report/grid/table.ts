import { factsOf } from '../methods.ts';
import { type Column, displayWidth, textTable } from '../table.ts';
import type { GridRecords } from './records.ts';
import type { GridSummary } from './summary.ts';
import { compareIn, type SettingView, settingViews } from './view.ts';

/** Measures that a narrow table keeps: as many as stand before these. */
const NARROW_MEASURES = 3;

function tableOf(views: readonly SettingView[], size: 'full' | 'narrow'): string {
  const compared = views.map((view) => ({ view, comparison: compareIn(view) }));
  const kept = size === 'full' ? undefined : NARROW_MEASURES;
  const titles = [
    ...new Set(compared.flatMap(({ comparison }) => comparison.measures.map(({ title }) => title))),
  ];
  const shown = titles.slice(0, kept);
  const columns: Column[] = [
    ...(views.length === 1 ? [] : [{ title: 'setting', align: 'left' as const }]),
    { title: 'method', align: 'left' },
    ...shown.map((title): Column => ({ title, align: 'right' })),
    ...(size === 'full' ? [{ title: 'upload/group', align: 'right' as const }] : []),
  ];
  const rows = compared.flatMap(({ view, comparison: { measures, rows } }) =>
    rows.map(({ method, cells, uploaded }) => [
      ...(views.length === 1 ? [] : [view.name]),
      factsOf(method).short,
      ...shown.map((title) => {
        const cell = cells[measures.findIndex((measure) => measure.title === title)];
        return cell === undefined ? '' : `${cell.best ? '*' : ''}${cell.text} ${cell.spread}`.trimEnd();
      }),
      uploaded,
    ]),
  );
  return textTable(columns, rows);
}

/**
 * Settings and methods of a grid for a terminal: mean ± sample standard deviation over the seeds, "*" at the best method of a
 * setting. Where it is wider than `width` cells, with fewer measures.
 */
export function gridTable(
  records: GridRecords,
  summary: GridSummary,
  width = Number.POSITIVE_INFINITY,
): string {
  const views = settingViews(records, summary);
  const full = tableOf(views, 'full');
  const fits = Math.max(...full.split('\n').map(displayWidth)) <= width;
  const { seeds } = records;
  const over =
    seeds.length === 1 ? `one seed, ${seeds[0]}` : `mean ± standard deviation over ${seeds.length} seeds`;
  const notes = [
    `${over}; * marks the best method of a setting; worst, CoV and fairness are of the unseen groups`,
    ...(fits ? [] : ['measures are left out for want of width: see the report']),
  ];
  return [fits ? full : tableOf(views, 'narrow'), '', ...notes].join('\n');
}
