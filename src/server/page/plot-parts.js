import { drawn, element } from './dom.js';
import { markAt } from './drawing.js';

/** What belongs to a plot beside its drawing: legend, table, and what screen readers say. */

/** @typedef {import('./drawing.js').PlotSpec} PlotSpec */
/** @typedef {import('./drawing.js').Row} Row */

/** Rounds in the table behind a plot; more would only slow the page down. */
export const TABLE_ROWS = 200;

/**
 * A slider is what screen readers know that has a value by position and moves with the arrow keys.
 * @param {Element} canvas
 * @param {string} title
 * @param {readonly Row[]} rows
 * @param {number} round
 * @param {string} spoken
 */
export function describe(canvas, title, rows, round, spoken) {
  const values = {
    role: 'slider',
    tabindex: '0',
    'aria-label': `${title} by round`,
    'aria-valuemin': String(rows[0]?.round ?? 0),
    'aria-valuemax': String(rows.at(-1)?.round ?? 0),
    'aria-valuenow': String(round),
    'aria-valuetext': spoken,
  };
  for (const [name, value] of Object.entries(values)) canvas.setAttribute(name, value);
}

/**
 * Names and marks of the lines, with room for their values at one round.
 * @param {PlotSpec} spec
 */
export function legendOf({ series, kind }) {
  const entries = series.map(({ name, style }) =>
    element('li', {}, [
      swatch(kind, style),
      element('span', {}, [name]),
      element('span', { class: 'figure' }),
    ]),
  );
  return element('ul', { class: 'legend' }, [...entries, element('li', { class: 'at' })]);
}

/**
 * @param {PlotSpec['kind']} kind
 * @param {import('./drawing.js').LineStyle} style
 */
function swatch(kind, style) {
  const parts =
    kind === 'columns'
      ? [drawn('path', { class: 'columns', d: 'M8 1h20v12H8Z' })]
      : [drawn('path', { class: 'line', d: 'M1 7H35' }), markAt(style, 18, 7)];
  return drawn('svg', { class: `swatch ${style}`, width: 36, height: 14, 'aria-hidden': 'true' }, parts);
}

/**
 * The same numbers as a table, closed at first.
 * @param {PlotSpec} spec
 * @param {HTMLElement} body where its rows go
 */
export function tableOf({ title, unit, series }, body) {
  const names = ['Round', ...series.map(({ name }) => name)];
  const cells = names.map((name) => element('th', { scope: 'col' }, [name]));
  const head = element('thead', {}, [element('tr', {}, cells)]);
  const caption = element('caption', {}, [
    `${title}, ${unit} by round; the last ${TABLE_ROWS} rounds at most`,
  ]);
  return element('details', { class: 'numbers' }, [
    element('summary', {}, ['The numbers behind this plot']),
    element('div', { class: 'scroll' }, [element('table', {}, [caption, head, body])]),
  ]);
}
