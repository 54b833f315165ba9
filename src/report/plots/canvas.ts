import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { type Html, html, trusted } from '../markup.ts';
import { oneLine } from '../printable.ts';

/** The two drawings of a plot: the page shows one of them, depending on its width. */
export type PlotSize = 'wide' | 'narrow';

/** Width of a drawing in user units; text in it is 13 units high. */
export const PLOT_WIDTH: Readonly<Record<PlotSize, number>> = { wide: 960, narrow: 440 };

/** Room in user units that one line of text needs. */
export const TEXT_LINE = 16;

/** Draws a plot without a browser: SVG without script, style element or id, so that any number of them can stand on one page. */
export function plotElement(options: Plot.PlotOptions): ReturnType<typeof Plot.plot> {
  const { document } = parseHTML('<!doctype html><html></html>');
  const svg = Plot.plot({ ...options, document, className: 'plot' });
  for (const style of [...svg.querySelectorAll('style')]) style.remove();
  return svg;
}

/** The same for a page. `description` is what a screen reader says instead of the picture. */
export function drawPlot(options: Plot.PlotOptions, description: string): Html {
  const svg = plotElement(options);
  return html`<div role="img" aria-label="${oneLine(description)}">${trusted(svg.outerHTML)}</div>`;
}
