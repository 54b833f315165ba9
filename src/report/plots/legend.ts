import { EMPTY, type Html, html } from '../markup.ts';
import type { MethodFacts } from '../methods.ts';
import { toneColour } from '../palette.ts';

/** One entry of a legend: how a method is drawn, its name and its figure. */
export interface LegendEntry {
  readonly facts: MethodFacts;
  readonly drawn: 'line' | 'mark' | 'bar';
  readonly figure?: string;
}

/** Outlines of the marks within radius 4.5 of the origin, as the plots draw them. */
const OUTLINES: Readonly<Record<MethodFacts['symbol'], string>> = {
  circle: 'M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0Z',
  square: 'M-3.6,-3.6h7.2v7.2h-7.2Z',
  triangle: 'M0,-4.6L4.2,2.8H-4.2Z',
  diamond: 'M0,-5L3.6,0L0,5L-3.6,0Z',
  cross: 'M-4.5,-1.5h3v-3h3v3h3v3h-3v3h-3v-3h-3Z',
  star: 'M0,-5L1.2,-1.6L4.8,-1.5L1.9,0.6L2.9,4L0,2L-2.9,4L-1.9,0.6L-4.8,-1.5L-1.2,-1.6Z',
  wye: 'M-1.3,1.2V4.6H1.3V1.2L4.2,-0.5L2.9,-2.8L0,-1.1L-2.9,-2.8L-4.2,-0.5Z',
};

function swatch({ facts, drawn }: LegendEntry): Html {
  if (drawn === 'bar') {
    return html`<svg class="swatch" width="20" height="14" viewBox="0 0 20 14" aria-hidden="true">
<rect y="1" width="20" height="12" fill="var(--bar)"/></svg>`;
  }
  const colour = toneColour(facts.tone);
  const fill = facts.tone === 'federated' ? colour : 'var(--paper)';
  const line =
    drawn === 'mark'
      ? EMPTY
      : html`<path d="M${-CENTRE.line + 1},0H${CENTRE.line - 1}" stroke="${colour}" stroke-width="2" stroke-dasharray="${facts.dash}"/>`;
  const centre = CENTRE[drawn];
  return html`<svg class="swatch" width="${2 * centre}" height="14" viewBox="${-centre} -7 ${2 * centre} 14" aria-hidden="true">
${line}<path d="${OUTLINES[facts.symbol]}" fill="${fill}" stroke="${colour}" stroke-width="1.5"/></svg>`;
}

/** Half the width of a sample in px. */
const CENTRE = { line: 18, mark: 7 } as const;

/** A legend as a list: line sample, name, figure. */
export function legend(entries: readonly LegendEntry[]): Html {
  const items = entries.map(
    (entry) =>
      html`<li>${swatch(entry)}<span class="name">${entry.facts.short}</span> <span class="figure">${entry.figure ?? ''}</span></li>`,
  );
  return html`<ul class="legend">${items}</ul>`;
}
