import { type Comparison, compareMethods } from './compare.ts';
import { formatScore } from './format.ts';
import { factsOf } from './methods.ts';
import { oneLine } from './printable.ts';
import type { RunRecord } from './record.ts';

/** A column of a plain-text table: figures stand to the right, words to the left. */
export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' });
const WIDE =
  /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}/u;

/** Cells that a terminal needs: one per grapheme, two for East Asian scripts and emoji. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of GRAPHEMES.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

function padded(text: string, width: number, align: Column['align']): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return align === 'right' ? space + text : text + space;
}

/** A plain-text table with aligned columns and a rule under the titles; cells are made printable, on one line. */
export function textTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const body = rows.map((row) => columns.map((_, i) => oneLine(row[i] ?? '')));
  const head = columns.map(({ title }) => oneLine(title));
  const widths = columns.map((_, i) => Math.max(...[head, ...body].map((row) => displayWidth(row[i] ?? ''))));
  const line = (row: readonly string[]): string =>
    columns
      .map(({ align }, i) => padded(row[i] ?? '', widths[i] ?? 0, align))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('  ');
  return [line(head), rule, ...body.map(line)].join('\n');
}

/** Text that Markdown shows as it is inside a table cell. */
function markdownCell(text: string): string {
  return oneLine(text)
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/[\\`*_[\]|~]/g, '\\$&');
}

/** A Markdown table; cells are taken as plain text unless `marked` says that they hold Markdown already. */
export function markdownTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  marked: (cell: string) => string = markdownCell,
): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = columns.map(({ align }) => (align === 'right' ? '---:' : '---'));
  const body = rows.map((row) => line(columns.map((_, i) => marked(row[i] ?? ''))));
  return [line(columns.map(({ title }) => markdownCell(title))), line(rule), ...body].join('\n');
}

const SEES: Column = { title: 'sees', align: 'left' };

function comparisonColumns({ measures }: Comparison): readonly Column[] {
  const figures = measures.map(({ title }): Column => ({ title, align: 'right' }));
  return [{ title: 'method', align: 'left' }, ...figures, { title: 'upload/group', align: 'right' }, SEES];
}

function comparisonNotes(record: RunRecord): readonly string[] {
  const best = record.methods.flatMap(({ label, best }) =>
    best?.unseen === undefined
      ? []
      : [`${label}: the best single model scores ${formatScore(best.unseen.mean)} on the unseen groups.`],
  );
  const notes = record.methods.flatMap(({ label, note }) =>
    note === undefined ? [] : [`${label}: ${note}`],
  );
  return [...best, ...notes].map(oneLine);
}

function widthOf(table: string): number {
  return Math.max(...table.split('\n').map(displayWidth));
}

function comparisonText(comparison: Comparison, size: 'full' | 'narrow'): string {
  const columns = comparisonColumns(comparison);
  const rows = comparison.rows.map(({ method, cells, uploaded }) => [
    size === 'full' ? method.label : factsOf(method).short,
    // The star stands in front: figures are aligned to the right, and their points stay under each other.
    ...cells.map(({ text, best }) => (best ? `*${text}` : text)),
    uploaded,
    method.sees,
  ]);
  return textTable(size === 'full' ? columns : columns.filter((column) => column !== SEES), rows);
}

/**
 * The comparison of a run's methods for a terminal: alignment scores, "*" at the best of a column, notes below.
 * Where it is wider than `width` cells: with short names and without what the methods see. Default: any width.
 */
export function comparisonTable(record: RunRecord, width = Number.POSITIVE_INFINITY): string {
  const comparison = compareMethods(record);
  const full = comparisonText(comparison, 'full');
  const fits = widthOf(full) <= width;
  const notes = [
    '* marks the best of a column; worst, CoV and fairness are of the unseen groups',
    ...(fits
      ? []
      : [`names are shortened and "${SEES.title}" is left out for want of width: see the report`]),
    ...comparisonNotes(record),
  ];
  return [fits ? full : comparisonText(comparison, 'narrow'), '', ...notes].join('\n');
}

/** The same comparison in Markdown, the best of a column in bold. */
export function comparisonMarkdown(record: RunRecord): string {
  const comparison = compareMethods(record);
  const rows = comparison.rows.map(({ method, cells, uploaded }) => [
    markdownCell(method.label),
    ...cells.map(({ text, best }) => (best ? `**${text}**` : text)),
    markdownCell(uploaded),
    markdownCell(method.sees),
  ]);
  const table = markdownTable(comparisonColumns(comparison), rows, (cell) => cell);
  const notes = comparisonNotes(record).map((note) => `- ${markdownCell(note)}`);
  return notes.length === 0 ? table : [table, '', ...notes].join('\n');
}
