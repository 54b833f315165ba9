import { ABSENT, formatScore } from '../format.ts';
import { EMPTY, type Html, html } from '../markup.ts';
import { legend } from '../plots/legend.ts';
import { endOf, type LinePoint, type LineSeries, lineChart } from '../plots/lines.ts';
import type { CurvePoint, MethodRecord } from '../record.ts';
import { bothSizes, figureMarkup, tableMarkup } from './parts.ts';

export interface CurveFigure {
  readonly title: string;
  /** The sentence that says how to read it. */
  readonly reading: string;
  readonly series: readonly LineSeries[];
  readonly valueLabel: string;
  /** `full` takes the whole width with names at the lines, `half` shares it and has a legend. */
  readonly room: 'full' | 'half';
  /** Whether names may be too long to stand at the lines in full: then a legend stands above them, whatever they are. */
  readonly longNames?: boolean;
}

/** The points of a method's curve at which `read` finds a value. */
export function curvePoints(
  method: MethodRecord,
  read: (point: CurvePoint) => number | undefined,
): readonly LinePoint[] {
  return method.curve.flatMap((point) => {
    const value = read(point);
    return value === undefined ? [] : [{ round: point.round, value }];
  });
}

/** The same figures as a table, for readers who cannot or would rather not read a plot. */
function numbersMarkup(series: readonly LineSeries[], caption: string): Html {
  const curves = series.filter(({ level }) => level === undefined);
  const lookups = curves.map(({ points }) => new Map(points.map(({ round, value }) => [round, value])));
  const rounds = new Set(curves.flatMap(({ points }) => points.map(({ round }) => round)));
  if (rounds.size === 0) return EMPTY;
  const rows = [...rounds]
    .sort((a, b) => a - b)
    .map((round) => ({
      cells: [String(round), ...lookups.map((values) => formatScore(values.get(round)))].map((content) => ({
        content,
      })),
    }));
  const head = ['Round', ...curves.map(({ facts }) => facts.short)];
  return html`<details class="numbers"><summary>The numbers behind this plot</summary>
${tableMarkup({ caption: `${caption}; ${ABSENT} where there is none`, head, rows, className: 'tight' })}</details>`;
}

/** A line chart over the rounds with its legend and its numbers; nothing where there is no line to draw. */
export function curveFigure({
  title,
  reading,
  series,
  valueLabel,
  room,
  longNames = false,
}: CurveFigure): Html {
  if (series.length === 0) return EMPTY;
  const subject = `${title}, ${valueLabel} by round`;
  const ends = series.map((line) => `${line.facts.short} ${formatScore(endOf(line))}`);
  const description = `Line chart: ${subject}. At the last round: ${ends.join(', ')}.`;
  const chart = { series, valueLabel, description, formatValue: formatScore };
  const key = legend(
    series.map((line) => ({ facts: line.facts, drawn: 'line', figure: formatScore(endOf(line)) })),
  );
  const drawing =
    room === 'full'
      ? html`${longNames ? key : EMPTY}${bothSizes((size) => lineChart(chart, size), longNames ? EMPTY : key)}`
      : html`${key}${lineChart(chart, 'narrow')}`;
  return figureMarkup(title, reading, drawing, numbersMarkup(series, subject));
}
