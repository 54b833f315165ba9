import type { RunStatus, ScoreSummary } from '../../wire/http.ts';
import { formatScore } from '../format.ts';
import { type Html, html } from '../markup.ts';
import type { MethodFacts } from '../methods.ts';
import { legend } from '../plots/legend.ts';
import { endOf, type LineSeries, lineChart } from '../plots/lines.ts';
import { bothSizes, figureMarkup } from '../sections/parts.ts';

type Look = Pick<MethodFacts, 'short' | 'tone' | 'dash' | 'symbol'>;

const MEAN: Look = { short: 'Mean of the groups', tone: 'federated', dash: '', symbol: 'circle' };
const WORST: Look = { short: 'Worst group', tone: 'local', dash: '9 3 2 3', symbol: 'triangle' };

function seriesOf(
  scores: readonly ScoreSummary[],
  look: Look,
  read: (score: ScoreSummary) => number | null,
): LineSeries[] {
  const points = scores.flatMap((score) => {
    const value = read(score);
    return value === null ? [] : [{ round: score.round, value }];
  });
  const facts = { ...look, phrase: look.short, sends: 'updates' as const, needsClearAnswers: false };
  return points.length === 0 ? [] : [{ facts, points }];
}

function figure(
  { holds }: RunStatus,
  {
    title,
    reading,
    valueLabel,
  }: { readonly title: string; readonly reading: string; readonly valueLabel: string },
  series: readonly LineSeries[],
): Html {
  if (series.length === 0) {
    return holds === 'ciphertext'
      ? html`<p>${title}: not known to the aggregator, which holds ciphertext only.</p>`
      : html`<p>${title}: no group has sent any.</p>`;
  }
  const ends = series.map((line) => `${line.facts.short} ${formatScore(endOf(line))}`);
  const description = `Line chart: ${title} by round. At the last round: ${ends.join(', ')}.`;
  const chart = { series, valueLabel, description, formatValue: formatScore };
  const key = legend(
    series.map((line) => ({ facts: line.facts, drawn: 'line' as const, figure: formatScore(endOf(line)) })),
  );
  return figureMarkup(
    title,
    reading,
    bothSizes((size) => lineChart(chart, size), key),
  );
}

/** How well the models of all rounds fit the answers of the groups that sent their scores. */
export function alignmentFigure(status: RunStatus): Html {
  const { scores } = status;
  const series = [
    ...seriesOf(scores, MEAN, ({ mean }) => mean),
    ...seriesOf(scores, WORST, ({ worst }) => worst),
  ];
  const reading =
    'Each group scores every model on its own answers and sends that one number. Higher is better; round 0 is the untrained start.';
  const title = 'Alignment of the training groups';
  return figure(status, { title, reading, valueLabel: 'alignment score' }, series);
}

/** Mean training loss by round. */
export function lossFigure(status: RunStatus): Html {
  const series = seriesOf(status.scores, MEAN, ({ loss }) => loss);
  const reading = 'Mean over the groups’ own tasks. Lower is better.';
  return figure(status, { title: 'Training loss', reading, valueLabel: 'loss' }, series);
}
