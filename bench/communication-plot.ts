import * as Plot from '@observablehq/plot';
import { formatBytes } from '../src/core/bytes.ts';
import { meanOf } from '../src/evaluate/group-scores.ts';
import { plotElement } from '../src/report/plots/canvas.ts';

/** A way to train the same steps: what a group sent, and how well the unseen groups were predicted with each seed. */
export interface Sent {
  readonly label: string;
  readonly bytes: number;
  readonly alignment: readonly number[];
}

const SIZE = { width: 860, height: 380, marginLeft: 56, marginRight: 300, marginBottom: 44 } as const;

/** Kinds of setting, by the word of a label that tells them apart; the first that fits. */
const KINDS = [
  ['parts', '#b3541e'],
  ['diloco', '#1f6f4a'],
  ['fedavg', '#33508f'],
] as const;

function colourOf(label: string): string {
  return KINDS.find(([word]) => label.includes(word))![1];
}

/** Alignment against bytes sent, a dot for each setting and a line from its lowest seed to its highest: SVG without script. */
export function communicationPlot(rows: readonly Sent[]): string {
  const points = rows.map(({ label, bytes, alignment }) => ({
    label,
    bytes,
    mean: meanOf(alignment),
    lowest: Math.min(...alignment),
    highest: Math.max(...alignment),
    colour: colourOf(label),
  }));
  // Names stand in a column of their own, in the order of their dots: beside the dots they would cover each other.
  const names = points.toSorted((a, b) => b.mean - a.mean);
  const [top, bottom] = [names[0]!.highest, names.at(-1)!.lowest];
  const places = names.map((point, i) => ({
    ...point,
    at: top - ((top - bottom) * (i + 0.5)) / names.length,
    number: i + 1,
  }));
  const svg = plotElement({
    ...SIZE,
    x: {
      type: 'log',
      labelAnchor: 'left',
      label: 'bytes that one group sends →',
      tickFormat: (bytes: number) => formatBytes(bytes),
      ticks: 5,
    },
    y: { label: '↑ alignment of unseen groups', grid: true, tickFormat: (score: number) => score.toFixed(3) },
    marks: [
      Plot.ruleX(places, { x: 'bytes', y1: 'lowest', y2: 'highest', stroke: 'colour' }),
      Plot.dot(places, { x: 'bytes', y: 'mean', fill: 'colour', r: 4 }),
      Plot.text(places, {
        x: 'bytes',
        y: 'mean',
        text: ({ number }) => String(number),
        dx: 9,
        dy: -7,
        fill: 'colour',
      }),
      Plot.text(places, {
        frameAnchor: 'right',
        y: 'at',
        dx: 16,
        textAnchor: 'start',
        text: ({ number, label }) => `${number}  ${label}`,
        fill: 'colour',
      }),
    ],
  });
  const title = svg.ownerDocument.createElement('title');
  title.textContent = 'Alignment of the unseen groups against the bytes that one group sends';
  svg.prepend(title);
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  svg.setAttribute('style', 'background: white; color: #222; font: 12px sans-serif');
  return `${svg.outerHTML}\n`;
}
