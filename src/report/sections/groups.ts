import { formatScore } from '../format.ts';
import { html } from '../markup.ts';
import { SCORE_FLOOR } from '../plots/bars.ts';
import type { RunRecord } from '../record.ts';
import { groupBars } from './group-bars.ts';
import type { Section } from './parts.ts';

/** Who is served how well: one bar per group. */
export function groupsSection(record: RunRecord): Section {
  const body = html`<p>A mean can hide a group that is served badly. Bars start at the lowest possible score,
${formatScore(SCORE_FLOOR)}, so their lengths can be compared.</p>
${groupBars(record, 'unseen', 'Unseen groups')}
${groupBars(record, 'training', 'Training groups')}
${groupBars(record, 'unseen-questions', 'Unseen groups, new questions')}`;
  return { id: 'groups', title: 'Group by group', body };
}
