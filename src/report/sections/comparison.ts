import { compareMethods } from '../compare.ts';
import { findingOf } from '../finding.ts';
import { ABSENT, formatDifference, formatScore } from '../format.ts';
import { EMPTY, type Html, html } from '../markup.ts';
import type { MethodRecord, RunRecord } from '../record.ts';
import { type Cell, type Section, type TableParts, tableMarkup, titled } from './parts.ts';

/** A figure, marked for eyes by weight and a dot and for screen readers in words. */
export function figureCell(text: string, best: boolean): Cell {
  return best
    ? {
        content: html`<span class="dot" aria-hidden="true">●</span>${text}<span class="hidden"> (best)</span>`,
        className: 'best',
      }
    : { content: text };
}

function bestSingle(
  { best }: MethodRecord,
  comparison: ReturnType<typeof compareMethods>,
): TableParts['rows'] {
  if (best === undefined) return [];
  const cells = comparison.measures.map(({ split, figure }) => ({
    content: formatScore(best[split]?.[figure]),
  }));
  const name = { content: titled('Best single local model', 'chosen by its scores here, so an upper bound') };
  return [{ cells: [name, ...cells, { content: ABSENT }] }];
}

function notesMarkup(methods: readonly MethodRecord[]): Html {
  const notes = methods.flatMap(({ label, note }) =>
    note === undefined ? [] : [html`<li>${label}: ${note}</li>`],
  );
  return notes.length === 0 ? EMPTY : html`<ul class="plain note">${notes}</ul>`;
}

/** Federated training against each other method, with the number of groups behind the difference of the means. */
function duelsMarkup(record: RunRecord): Html {
  const finding = findingOf(record);
  if (finding === undefined || finding.duels.length === 0) return EMPTY;
  const rows = finding.duels.map(({ rival, difference, groupsAhead, groupsCompared }) => ({
    cells: [
      { content: rival.label },
      { content: formatDifference(difference) },
      { content: `${groupsAhead} of ${groupsCompared}` },
    ],
  }));
  return tableMarkup({
    caption: `Federated training less each other method, ${finding.split} groups`,
    head: ['Method', 'difference of means', 'groups in which it is higher'],
    rows,
    className: 'tight',
  });
}

/** Every method in one table. */
export function comparisonSection(record: RunRecord): Section {
  const comparison = compareMethods(record);
  const rows = comparison.rows.flatMap(({ method, cells, uploaded }) => [
    {
      className: method.id === 'federated' ? 'leading' : '',
      cells: [
        { content: titled(method.label, `sees ${method.sees}`) },
        ...cells.map(({ text, best }) => figureCell(text, best)),
        { content: uploaded },
      ],
    },
    ...bestSingle(method, comparison),
  ]);
  const table = tableMarkup({
    caption: 'Alignment scores by method; worst, CoV and fairness are of the unseen groups',
    head: ['Method', ...comparison.measures.map(({ title }) => title), 'upload per group'],
    rows,
    className: 'full tight compare',
  });
  const body = html`<p>The alignment score is one less the Jensen–Shannon distance (natural logarithm) between the predicted
and the true shares of answers: 1 is perfect, ${formatScore(1 - Math.sqrt(Math.LN2))} the lowest possible. A dot marks the best
figure of a column. Methods differ in what they must see, so the best figure is not always one that can be had.</p>
${table}
${duelsMarkup(record)}
${notesMarkup(comparison.rows.map(({ method }) => method))}`;
  return { id: 'methods', title: 'How the methods compare', body };
}
