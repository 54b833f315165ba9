import { formatSeconds, formatShare, plural } from '../format.ts';
import { type Html, html } from '../markup.ts';
import type { RunRecord } from '../record.ts';
import { type Section, tableMarkup } from './parts.ts';

/** A bar in SVG, because browsers leave CSS backgrounds out when they print. */
function meter(share: number): Html {
  const width = (share * 100).toFixed(2);
  return html`<svg class="meter" aria-hidden="true"><rect width="100%" height="100%" fill="var(--faint)"/><rect width="${width}%" height="100%" fill="var(--tone-federated)"/></svg>`;
}

/** Seconds by phase, the longest first. */
export function timeSection({ phases, environment }: RunRecord): Section {
  const total = phases.reduce((sum, { seconds }) => sum + seconds, 0);
  const share = (seconds: number): number => (total === 0 ? 0 : seconds / total);
  const longestFirst = [...phases].sort((a, b) => b.seconds - a.seconds);
  const rows = longestFirst.map(({ name, seconds }) => ({
    cells: [
      { content: name },
      { content: formatSeconds(seconds) },
      { content: formatShare(share(seconds)) },
      { content: meter(share(seconds)), className: 'bar' },
    ],
  }));
  const body = html`<p>${formatSeconds(total)} in all, on ${environment.device} with ${plural(environment.workers, 'worker')} on
${plural(environment.cores, 'core')}, comparisons and evaluations included.</p>
${tableMarkup({ caption: 'Wall-clock time by phase', head: ['Phase', 'time', 'share', ''], rows, className: 'full tight' })}`;
  return { id: 'time', title: 'Where the time went', body };
}
