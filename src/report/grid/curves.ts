import type { SplitName } from '../../evaluate/evaluation.ts';
import { EMPTY, type Html, html } from '../markup.ts';
import { factsOf, type MethodFacts, methodOf, orderedMethods } from '../methods.ts';
import type { BandPoint, LineSeries } from '../plots/lines.ts';
import type { MethodRecord } from '../record.ts';
import { curveFigure, curvePoints } from '../sections/curve-figure.ts';
import type { Section } from '../sections/parts.ts';
import { folded } from './folded.ts';
import { lookOf, MOST_LINES } from './looks.ts';
import { spreadOf } from './spread.ts';
import { methodOver } from './summary.ts';
import { mainSplit, ranked, type SettingView } from './view.ts';

const BAND = 'The shade is one standard deviation over the seeds to either side of the mean.';

/** One standard deviation over the seeds to either side, at the rounds of the mean; none for a single seed. */
function bandOf(view: SettingView, method: MethodRecord, split: SplitName): readonly BandPoint[] {
  const records = view.runs.runs.map(({ record }) => record);
  const curves = methodOver(records, method.id).map((own) => own?.curve ?? []);
  return method.curve.flatMap(({ round }) => {
    const values = curves.map(
      (curve) => curve.find((point) => point.round === round)?.summaries[split]?.mean,
    );
    const { mean, spread } = spreadOf(values);
    return mean === null || spread === null ? [] : [{ round, low: mean - spread, high: mean + spread }];
  });
}

/** A method's mean curve with its band, or its level; none where it has no score on the split. */
function seriesOf(
  view: SettingView,
  method: MethodRecord,
  facts: MethodFacts,
  split: SplitName,
): LineSeries[] {
  const points = curvePoints(method, ({ summaries }) => summaries[split]?.mean);
  if (points.length > 0) return [{ facts, points, band: bandOf(view, method, split) }];
  const level = method.summaries[split]?.mean;
  return level === undefined ? [] : [{ facts, points, level }];
}

/** What the groups of a split are called. */
export const GROUPS_OF: Readonly<Record<SplitName, string>> = {
  training: 'training groups',
  unseen: 'unseen groups',
  'unseen-questions': 'unseen groups, new questions',
};

function banded(view: SettingView | undefined): string {
  return (view?.runs.runs.length ?? 0) > 1 ? ` ${BAND}` : '';
}

function settingsFigure(views: readonly SettingView[], split: SplitName): Html {
  if (views.length < 2) return EMPTY;
  const best = ranked(views).slice(0, MOST_LINES);
  const shown = views.filter((view) => best.includes(view));
  const cut = shown.length < views.length ? ` Only the ${MOST_LINES} best settings are drawn.` : '';
  return curveFigure({
    title: `Federated training by setting, ${GROUPS_OF[split]}`,
    reading: `Mean over the seeds; higher is better.${banded(views[0])}${cut}`,
    series: shown.flatMap((view, i) => {
      const method = methodOf(view.average, 'federated');
      return method === undefined ? [] : seriesOf(view, method, lookOf(view.name, i), split);
    }),
    valueLabel: 'alignment score',
    room: 'full',
    longNames: true,
  });
}

function methodsFigure(view: SettingView, split: SplitName): Html {
  return curveFigure({
    title: `${view.name}: ${GROUPS_OF[split]}`,
    reading: `Mean over the seeds; lines across are baselines without training.${banded(view)}`,
    series: orderedMethods(view.average).flatMap((method) => seriesOf(view, method, factsOf(method), split)),
    valueLabel: 'alignment score',
    room: 'full',
  });
}

/** Alignment by round: settings against each other, then the methods of each. */
export function curvesSection(views: readonly SettingView[]): Section {
  const split = mainSplit(views);
  const body = html`${settingsFigure(views, split)}
${folded(views, (view) => methodsFigure(view, split))}`;
  return { id: 'rounds', title: 'Alignment by round', body };
}
