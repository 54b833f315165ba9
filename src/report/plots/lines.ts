import * as Plot from '@observablehq/plot';
import type { Html } from '../markup.ts';
import type { MethodFacts } from '../methods.ts';
import { toneColour } from '../palette.ts';
import { oneLine, shortened } from '../printable.ts';
import { drawPlot, PLOT_WIDTH, type PlotSize, TEXT_LINE } from './canvas.ts';
import { spreadApart } from './spread.ts';

export interface LinePoint {
  readonly round: number;
  readonly value: number;
}

/** The reach of a line at one round: how far apart the runs lie that it is the mean of. */
export interface BandPoint {
  readonly round: number;
  readonly low: number;
  readonly high: number;
}

/** One line: a curve over the rounds, or a single `level` for a method without rounds. */
export interface LineSeries {
  readonly facts: MethodFacts;
  readonly points: readonly LinePoint[];
  readonly level?: number;
  /** Shaded behind the line. */
  readonly band?: readonly BandPoint[];
}

export interface LineChart {
  readonly series: readonly LineSeries[];
  readonly valueLabel: string;
  readonly description: string;
  readonly formatValue: (value: number) => string;
}

/** The value at the right end of a line. */
export function endOf({ points, level }: LineSeries): number {
  return level ?? points.at(-1)?.value ?? 0;
}

const HEIGHT: Readonly<Record<PlotSize, number>> = { wide: 430, narrow: 320 };
const MARGIN = { top: 30, bottom: 42, left: 46 } as const;
/** Wide drawings have names at the ends of the lines; narrow ones a legend beside them. */
const MARGIN_RIGHT: Readonly<Record<PlotSize, number>> = { wide: 284, narrow: 16 };
/** Characters of a name at the end of a line; a longer one is cut there. */
const NAME_LENGTH = 28;
/** Rounds with a tooltip per line; more would only overlap. */
const MAX_TOOLTIPS = 60;

interface Frame {
  readonly size: PlotSize;
  readonly rounds: number;
  readonly low: number;
  readonly high: number;
  /** Value of one user unit of height. */
  readonly valuePerUnit: number;
}

function frameOf({ series }: LineChart, size: PlotSize): Frame {
  const values = series.flatMap((line) => [
    ...line.points.map(({ value }) => value),
    ...(line.band ?? []).flatMap(({ low, high }) => [low, high]),
    endOf(line),
  ]);
  const rounds = Math.max(1, ...series.flatMap(({ points }) => points.map(({ round }) => round)));
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const padding = (most - least || 0.1) * 0.06;
  const [low, high] = [least - padding, most + padding];
  return {
    size,
    rounds,
    low,
    high,
    valuePerUnit: (high - low) / (HEIGHT[size] - MARGIN.top - MARGIN.bottom),
  };
}

function pathOf(line: LineSeries, rounds: number): readonly LinePoint[] {
  if (line.level === undefined) return line.points;
  return [
    { round: 0, value: line.level },
    { round: rounds, value: line.level },
  ];
}

function bandMarks({ band = [], facts }: LineSeries): readonly Plot.Markish[] {
  if (band.length === 0) return [];
  // Faint enough that three of them on top of each other leave the lines readable.
  return [
    Plot.areaY(band, { x: 'round', y1: 'low', y2: 'high', fill: toneColour(facts.tone), fillOpacity: 0.13 }),
  ];
}

function lineMarks(line: LineSeries, { rounds }: Frame): readonly Plot.Markish[] {
  const colour = toneColour(line.facts.tone);
  const path = pathOf(line, rounds);
  const leading = line.facts.tone === 'federated';
  return [
    Plot.line(path, {
      x: 'round',
      y: 'value',
      stroke: colour,
      strokeWidth: leading ? 2.75 : 1.75,
      strokeDasharray: line.facts.dash,
    }),
    Plot.dot(path.slice(-1), {
      x: 'round',
      y: 'value',
      symbol: line.facts.symbol,
      r: leading ? 5 : 4.5,
      stroke: colour,
      fill: leading ? colour : 'var(--paper)',
      strokeWidth: 1.75,
    }),
  ];
}

/** Invisible discs whose title a pointer finds. */
function tooltipMarks(chart: LineChart): readonly Plot.Markish[] {
  return chart.series.map(({ facts, points }) => {
    const stride = Math.ceil(points.length / MAX_TOOLTIPS);
    const shown = points.filter((_, i) => i % stride === 0 || i === points.length - 1);
    return Plot.dot(shown, {
      x: 'round',
      y: 'value',
      r: 5,
      fill: 'transparent',
      stroke: 'none',
      title: ({ round, value }) => `${oneLine(facts.short)}, round ${round}: ${chart.formatValue(value)}`,
    });
  });
}

/** Names at the right ends of the lines, moved apart, each with a thin leader to its line. */
function labelMarks(chart: LineChart, frame: Frame): readonly Plot.Markish[] {
  const ends = chart.series.map(endOf);
  const places = spreadApart(ends, TEXT_LINE * 1.2 * frame.valuePerUnit, frame.low, frame.high);
  const unitsPerRound = (PLOT_WIDTH.wide - MARGIN.left - MARGIN_RIGHT.wide) / frame.rounds;
  const right = (units: number): number => frame.rounds + units / unitsPerRound;
  return chart.series.flatMap(({ facts }, i) => {
    const [end, place] = [ends[i] ?? 0, places[i] ?? 0];
    const colour = toneColour(facts.tone);
    const leader = [
      { round: right(8), value: end },
      { round: right(22), value: place },
      { round: right(28), value: place },
    ];
    return [
      Plot.line(leader, { x: 'round', y: 'value', stroke: colour, strokeWidth: 1, strokeOpacity: 0.6 }),
      Plot.text([`${shortened(facts.short, NAME_LENGTH)}  ${chart.formatValue(end)}`], {
        x: right(33),
        y: place,
        textAnchor: 'start',
        fill: colour,
        fontWeight: facts.tone === 'federated' ? 700 : 400,
      }),
    ];
  });
}

function axisMarks(chart: LineChart, { size }: Frame): readonly Plot.Markish[] {
  const label = { fill: 'var(--quiet)' };
  return [
    Plot.gridY({ stroke: 'var(--line)', strokeOpacity: 1, ticks: 6 }),
    Plot.axisY({ ...label, ticks: 6, tickSize: 0, label: chart.valueLabel, labelArrow: 'none' }),
    Plot.axisX({
      ...label,
      ticks: size === 'wide' ? 8 : 5,
      tickSize: 4,
      tickFormat: (round: number) => (Number.isInteger(round) ? String(round) : ''),
      label: 'round',
      labelAnchor: 'center',
      labelArrow: 'none',
    }),
  ];
}

/** A line chart over the rounds, with levels across for methods without rounds. */
export function lineChart(chart: LineChart, size: PlotSize): Html {
  const frame = frameOf(chart, size);
  // The main line is drawn last, over the others.
  const back = [...chart.series].sort((a, b) => rankOf(a) - rankOf(b));
  const options: Plot.PlotOptions = {
    width: PLOT_WIDTH[size],
    height: HEIGHT[size],
    marginTop: MARGIN.top,
    marginBottom: MARGIN.bottom,
    marginLeft: MARGIN.left,
    marginRight: MARGIN_RIGHT[size],
    x: { domain: [0, frame.rounds] },
    y: { domain: [frame.low, frame.high] },
    marks: [
      ...axisMarks(chart, frame),
      ...back.flatMap(bandMarks),
      ...back.flatMap((line) => lineMarks(line, frame)),
      ...(size === 'wide' ? labelMarks(chart, frame) : []),
      ...tooltipMarks(chart),
    ],
  };
  return drawPlot(options, chart.description);
}

function rankOf({ facts, level }: LineSeries): number {
  if (facts.tone === 'federated') return 2;
  return level === undefined ? 1 : 0;
}
