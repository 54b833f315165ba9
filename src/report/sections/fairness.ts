import type { SplitName } from '../../evaluate/evaluation.ts';
import { compareMethods, fairnessMeasures } from '../compare.ts';
import { EMPTY, type Html, html } from '../markup.ts';
import type { RunRecord } from '../record.ts';
import { figureCell } from './comparison.ts';
import { type Section, tableMarkup } from './parts.ts';

function fairnessTable(record: RunRecord, split: SplitName, caption: string): Html {
  const { measures, rows } = compareMethods(record, fairnessMeasures(split));
  if (measures.length === 0) return EMPTY;
  const applicable = rows.filter(({ method }) => method.summaries[split] !== undefined);
  return tableMarkup({
    caption,
    head: ['Method', ...measures.map(({ title }) => title)],
    rows: applicable.map(({ method, cells }) => ({
      className: method.id === 'federated' ? 'leading' : '',
      cells: [{ content: method.label }, ...cells.map(({ text, best }) => figureCell(text, best))],
    })),
    className: 'full tight compare',
  });
}

/** How evenly the groups are served, and what each measure means. */
export function fairnessSection(record: RunRecord): Section {
  const body = html`${fairnessTable(record, 'unseen', 'Fairness over the unseen groups')}
${fairnessTable(record, 'training', 'Fairness over the training groups')}
${fairnessTable(record, 'unseen-questions', 'Fairness over the unseen groups, new questions')}
<dl class="terms">
<div><dt>Worst group</dt><dd>The lowest score of any group: what the group that is served worst gets.</dd></div>
<div><dt>CoV</dt><dd>Coefficient of variation: the standard deviation of the groups’ scores over their mean. 0 means that all
groups are served alike.</dd></div>
<div><dt>Fairness index</dt><dd>1 / (1 + CoV²) of the groups’ means, as the PluralLLM paper defines it. It lies near 1 for
almost any method, so small differences in it say little.</dd></div>
<div><dt>Per-question fairness</dt><dd>The mean over questions of 1 / (1 + CoV of the groups’ scores on that question), as in
arXiv 2604.04261. It is stricter: differences on single questions cannot cancel out.</dd></div>
<div><dt>ECE</dt><dd>Expected calibration error: how far shares that were predicted as about p are from p on average, over 15 bins of p. It tells
whether predictions are as sure as they may be, not whether they are good: a uniform guess can be well calibrated.</dd></div>
</dl>
<p class="note">Even is not good by itself: a uniform guess can be the fairest of all and still serve everybody badly.
Read these figures beside the mean.</p>`;
  return { id: 'fairness', title: 'Fairness', body };
}
