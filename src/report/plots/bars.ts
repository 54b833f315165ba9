import * as Plot from '@observablehq/plot';
import { formatScore } from '../format.ts';
import type { Html } from '../markup.ts';
import type { MethodFacts } from '../methods.ts';
import { toneColour } from '../palette.ts';
import { oneLine, shortened } from '../printable.ts';
import { drawPlot, PLOT_WIDTH, type PlotSize, TEXT_LINE } from './canvas.ts';

/** Lowest possible alignment score, 1 - sqrt(ln 2): bars start here, so that their lengths can be compared. */
export const SCORE_FLOOR = 1 - Math.sqrt(Math.LN2);

/** Another method's score of the same group, drawn as a mark on the bar. */
export interface BarReference {
  readonly facts: MethodFacts;
  readonly score: number;
}

/** One group: its score as a bar, other methods as marks, and the figures that stand beside it. */
export interface BarRow {
  readonly group: string;
  readonly score: number;
  readonly references: readonly BarReference[];
  readonly figures: string;
}

export interface BarChart {
  readonly facts: MethodFacts;
  /** In the order from top to bottom. */
  readonly rows: readonly BarRow[];
  readonly description: string;
}

interface Layout {
  readonly left: number;
  readonly right: number;
  /** Height of one row, and top and bottom of the bar in it as shares of that height. */
  readonly row: number;
  readonly bar: readonly [number, number];
  readonly labelLength: number;
}

/** Wide: name | bar | figures on one line. Narrow: name and figures above the bar. */
const LAYOUTS: Readonly<Record<PlotSize, Layout>> = {
  wide: { left: 296, right: 124, row: 28, bar: [0.24, 0.76], labelLength: 38 },
  narrow: { left: 4, right: 12, row: 44, bar: [0.56, 0.88], labelLength: 30 },
};
const MARGIN = { top: 8, bottom: 44 } as const;

interface Placed extends BarRow {
  readonly index: number;
}

function barMarks({ facts }: BarChart, rows: readonly Placed[], { bar }: Layout): readonly Plot.Markish[] {
  const middle = (bar[0] + bar[1]) / 2;
  const references = rows.flatMap(({ references, index, group }) =>
    references.map((reference) => ({ ...reference, index, group })),
  );
  const named = (group: string, method: MethodFacts, score: number): string =>
    `${oneLine(group)} – ${oneLine(method.short)}: ${formatScore(score)}`;
  return [
    Plot.rect(rows, {
      x1: () => SCORE_FLOOR,
      x2: 'score',
      y1: ({ index }: Placed) => index + bar[0],
      y2: ({ index }: Placed) => index + bar[1],
      fill: 'var(--bar)',
      title: ({ group, score }: Placed) => named(group, facts, score),
    }),
    ...references.map(({ facts: method, score, index, group }) =>
      Plot.dot([score], {
        x: score,
        y: index + middle,
        symbol: method.symbol,
        r: 5,
        fill: 'var(--paper)',
        stroke: toneColour(method.tone),
        strokeWidth: 1.75,
        title: () => named(group, method, score),
      }),
    ),
  ];
}

function textMarks(rows: readonly Placed[], size: PlotSize): readonly Plot.Markish[] {
  const { bar, labelLength, left, right } = LAYOUTS[size];
  const height = size === 'wide' ? (bar[0] + bar[1]) / 2 : 0.3;
  const y = ({ index }: Placed): number => index + height;
  const group = ({ group }: Placed): string => shortened(group, labelLength);
  const outside = size === 'wide';
  return [
    Plot.text(rows, {
      y,
      text: group,
      frameAnchor: 'left',
      textAnchor: outside ? 'end' : 'start',
      dx: outside ? -12 : 0,
      title: ({ group }: Placed) => oneLine(group),
      fill: 'var(--ink)',
      clip: false,
    }),
    Plot.text(rows, {
      y,
      text: 'figures',
      frameAnchor: 'right',
      textAnchor: 'end',
      dx: outside ? right : 0,
      fill: 'var(--ink)',
      fontVariant: 'tabular-nums',
    }),
    ...(left > TEXT_LINE ? [Plot.ruleX([SCORE_FLOOR], { stroke: 'var(--quiet)' })] : []),
  ];
}

/** Horizontal bars of one method, group by group, with other methods as marks on them. */
export function barChart(chart: BarChart, size: PlotSize): Html {
  const layout = LAYOUTS[size];
  const rows = chart.rows.map((row, index): Placed => ({ ...row, index }));
  const options: Plot.PlotOptions = {
    width: PLOT_WIDTH[size],
    height: rows.length * layout.row + MARGIN.top + MARGIN.bottom,
    marginTop: MARGIN.top,
    marginBottom: MARGIN.bottom,
    marginLeft: layout.left,
    marginRight: layout.right,
    x: { domain: [SCORE_FLOOR, 1] },
    y: { domain: [rows.length, 0], axis: null },
    marks: [
      Plot.gridX({ stroke: 'var(--line)', strokeOpacity: 1, ticks: 5 }),
      Plot.axisX({
        fill: 'var(--quiet)',
        ticks: 5,
        tickSize: 0,
        label: 'alignment score',
        labelAnchor: 'center',
        labelArrow: 'none',
      }),
      ...barMarks(chart, rows, layout),
      ...textMarks(rows, size),
    ],
  };
  return drawPlot(options, chart.description);
}
