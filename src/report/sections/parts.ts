import { EMPTY, type Html, html } from '../markup.ts';
import type { PlotSize } from '../plots/canvas.ts';

/** A section of the page: an anchor, a heading and a body. */
export interface Section {
  readonly id: string;
  readonly title: string;
  readonly body: Html;
}

/** The caution that every figure of the training groups carries. */
export const SEEN_IN_TRAINING = 'They are scored on questions whose answers they trained on.';

/** A section as a landmark named by its heading. */
export function sectionMarkup({ id, title, body }: Section): Html {
  return html`<section aria-labelledby="${id}">
<h2 id="${id}">${title}</h2>
${body}
</section>`;
}

/** One cell of the body of a table. */
export interface Cell {
  readonly content: string | Html;
  readonly className?: string;
}

export interface TableParts {
  readonly caption: string;
  readonly head: readonly string[];
  /** The first cell of a row is its heading. */
  readonly rows: readonly { readonly cells: readonly Cell[]; readonly className?: string }[];
  readonly className?: string;
}

function bodyRow(head: readonly string[], { cells, className = '' }: TableParts['rows'][number]): Html {
  const parts = cells.map((cell, i) =>
    i === 0
      ? html`<th scope="row">${cell.content}</th>`
      : html`<td class="${cell.className ?? ''}" data-title="${head[i] ?? ''}">${cell.content}</td>`,
  );
  return html`<tr class="${className}">${parts}</tr>`;
}

/**
 * A table that scrolls inside itself where the page is too narrow for it, by touch and by keyboard. One of class
 * `compare` becomes a list of cards on a phone; its cells then show the title of their column.
 */
export function tableMarkup({ caption, head, rows, className = '' }: TableParts): Html {
  const titles = head.map((title) => html`<th scope="col">${title}</th>`);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}">
<table class="${className}">
<caption>${caption}</caption>
<thead><tr>${titles}</tr></thead>
<tbody>${rows.map((row) => bodyRow(head, row))}</tbody>
</table>
</div>`;
}

const SHA_256 = /^[0-9a-f]{64}$/;

/** A table of names and values, without column titles. */
export function propertiesMarkup(
  caption: string,
  rows: readonly (readonly [name: string, value: string | Html])[],
): Html {
  const lines = rows.map(
    ([name, value]) =>
      html`<tr><th scope="row">${name}</th><td class="${typeof value === 'string' && SHA_256.test(value) ? 'digest' : ''}">${value}</td></tr>`,
  );
  return html`<table class="full properties">
<caption>${caption}</caption>
<tbody>${lines}</tbody>
</table>`;
}

/** The heading of a row with a line of small print under it. */
export function titled(title: string, small: string): Html {
  return html`${title}<small>${small}</small>`;
}

/** A plot in both drawings; the style sheet shows the one that fits. */
export function bothSizes(draw: (size: PlotSize) => Html, legend: Html = EMPTY): Html {
  return html`<div class="wide">${draw('wide')}</div>
<div class="narrow">${legend}${draw('narrow')}</div>`;
}

/** A plot with its title, the sentence that says how to read it, and what comes below it. */
export function figureMarkup(title: string, reading: string, drawing: Html, below: Html = EMPTY): Html {
  return html`<figure>
<figcaption><strong>${title}</strong> ${reading}</figcaption>
${drawing}
${below}
</figure>`;
}
