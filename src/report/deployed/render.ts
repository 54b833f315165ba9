import { formatBytes } from '../../core/bytes.ts';
import { ownVersion } from '../../core/version.ts';
import type { RunStatus } from '../../wire/http.ts';
import { ABSENT, formatCount, formatInstant, formatScore, plural } from '../format.ts';
import { type Html, html } from '../markup.ts';
import { renderPage } from '../page.ts';
import { propertiesMarkup, type Section, tableMarkup } from '../sections/parts.ts';
import { alignmentFigure, lossFigure } from './figures.ts';

function instant(ms: number | undefined): string {
  return ms === undefined ? ABSENT : formatInstant(new Date(ms).toISOString());
}

function fact(name: string, value: string, small: string): Html {
  return html`<div><dt>${name}</dt><dd>${value} <small>${small}</small></dd></div>`;
}

/** What the aggregator had of what the groups sent. */
function seenOf({ protection, holds }: RunStatus): string {
  if (holds === 'ciphertext') return 'the aggregator held ciphertext only';
  return protection === 'none' ? 'the aggregator saw every update in clear' : 'the aggregator saw sums only';
}

function headerOf(status: RunStatus): Html {
  const { run, summary, members, round, rounds, protection, scores, history } = status;
  const last = scores.at(-1);
  const bytes = history.reduce((sum, { uploadedBytes }) => sum + uploadedBytes, 0);
  return html`<header class="masthead">
<p class="kicker">${run} · deployed run · ${instant(history.at(-1)?.publishedAt)}</p>
<h1>${summary}</h1>
<p class="dek">${plural(members.length, 'group')} trained ${formatCount(status.parameters)} parameters together, each on a machine
of its own; the aggregator added their updates with strategy ${status.strategy}.</p>
<dl class="facts">
${fact('Rounds', `${round} of ${rounds}`, `quorum ${status.quorum}`)}
${fact('Alignment', formatScore(last?.mean), `mean of ${plural(last?.groups ?? 0, 'group')} on their own answers`)}
${fact('Worst-served group', formatScore(last?.worst ?? undefined), `fairness index ${formatScore(last?.fairnessIndex)}`)}
${fact('Uploaded', formatBytes(bytes), 'by all groups together')}
${fact('Protection', protection, seenOf(status))}
</dl>
</header>`;
}

function curves(status: RunStatus): Section {
  const body = html`<p>Groups score models on answers that they train on: these curves show that training works, not how well
groups that were never seen are predicted. No group’s own score is shown.</p>
${alignmentFigure(status)}
${lossFigure(status)}`;
  return { id: 'rounds', title: 'By round', body };
}

function roundRows({ history, scores }: RunStatus) {
  const byRound = new Map(scores.map((score) => [score.round, score]));
  return history.map(({ round, updates, uploadedBytes, publishedAt, model }) => {
    const score = byRound.get(round);
    const cells = [
      String(round),
      String(updates),
      formatBytes(uploadedBytes),
      formatScore(score?.mean),
      formatScore(score?.worst ?? undefined),
      formatScore(score?.fairnessIndex),
      instant(publishedAt).replace(' UTC', ''),
      model.slice(0, 8),
    ];
    return { cells: cells.map((content) => ({ content })) };
  });
}

function rounds(status: RunStatus): Section {
  const body = tableMarkup({
    caption: 'The published models',
    head: ['Round', 'updates', 'uploaded', 'alignment', 'worst', 'fairness', 'published, UTC', 'model'],
    rows: roundRows(status),
    className: 'full tight',
  });
  return { id: 'models', title: 'Rounds and models', body };
}

function provenance(status: RunStatus): Section {
  const body = propertiesMarkup('Names and digests', [
    ['Run', status.run],
    ['Run digest', status.digest],
    ['Last model', status.history.at(-1)?.model ?? ABSENT],
    ['Groups', status.members.map(({ group }) => group).join(', ')],
    ['Started', instant(status.createdAt)],
  ]);
  return { id: 'provenance', title: 'Provenance', body };
}

/** The report of a deployed run, from what its aggregator tells of it: one self-contained HTML page. */
export function renderDeployed(status: RunStatus): string {
  return renderPage({
    title: status.run,
    header: headerOf(status),
    sections: [curves(status), rounds(status), provenance(status)],
    colophon: `Written by pluralllm ${ownVersion()} from the status that the aggregator told.`,
  });
}
