import type { SplitName } from '../../evaluate/evaluation.ts';
import { formatDifference, formatScore } from '../format.ts';
import { EMPTY, type Html, html } from '../markup.ts';
import { factsOf, methodOf } from '../methods.ts';
import { type BarRow, barChart } from '../plots/bars.ts';
import { legend } from '../plots/legend.ts';
import type { Figures, MethodRecord } from '../record.ts';
import { bothSizes, figureMarkup, SEEN_IN_TRAINING } from './parts.ts';

const REFERENCES = ['group-mean', 'local-only'];

function scoreOf(method: MethodRecord, split: SplitName, group: string): number | undefined {
  return method.scores.find((score) => score.split === split && score.group === group)?.alignment;
}

/** "0.864  +0.012": the score, and how far it lies from the reference where there is one. */
function figuresOf(score: number, reference: number | undefined): string {
  if (reference === undefined) return formatScore(score);
  // Of the figures as shown: a reader who subtracts them gets the same difference.
  return `${formatScore(score)}  ${formatDifference(Number(formatScore(score)) - Number(formatScore(reference)))}`;
}

/** Groups of a split by their federated score, the best first. */
function rowsOf(
  federated: MethodRecord,
  others: readonly MethodRecord[],
  reference: MethodRecord | undefined,
  split: SplitName,
): readonly BarRow[] {
  return federated.scores
    .filter((score) => score.split === split)
    .map(({ group, alignment }) => ({
      group,
      score: alignment,
      references: others.flatMap((method) => {
        const score = scoreOf(method, split, group);
        return score === undefined ? [] : [{ facts: factsOf(method), score }];
      }),
      figures: figuresOf(alignment, reference && scoreOf(reference, split, group)),
    }))
    .sort((a, b) => b.score - a.score || (a.group < b.group ? -1 : 1));
}

function inWords({ group, score, references }: BarRow): string {
  const others = references.map(({ facts, score }) => `${facts.short} ${formatScore(score)}`);
  return [`${group}: ${formatScore(score)}`, ...others].join(', ');
}

/** What a reader must know to read the figures at the bars. */
function remarkOn(split: SplitName, reference: MethodRecord | undefined): string {
  if (split === 'training') return ` ${SEEN_IN_TRAINING}`;
  return reference === undefined
    ? ''
    : ` Figures: the federated score, and how far it lies from ${factsOf(reference).phrase}.`;
}

/** One bar per group of a split, with the comparisons as marks; nothing where the split has no group. */
export function groupBars(record: Pick<Figures, 'methods'>, split: SplitName, title: string): Html {
  const federated = methodOf(record, 'federated');
  if (federated === undefined) return EMPTY;
  const others = REFERENCES.flatMap((id) => methodOf(record, id) ?? []);
  const present = others.filter(({ summaries }) => summaries[split] !== undefined);
  // For a training group the group mean leaves the group's own answers out: no fair reference, so no difference.
  const reference = split === 'training' ? undefined : present[0];
  const rows = rowsOf(federated, present, reference, split);
  if (rows.length === 0) return EMPTY;
  const chart = {
    facts: factsOf(federated),
    rows,
    description: `Bar chart, alignment score of each of the ${title.toLowerCase()}. ${rows.map(inWords).join('; ')}.`,
  };
  return figureMarkup(
    title,
    `Bars are federated training, best first; marks are the comparisons.${remarkOn(split, reference)}`,
    html`${legend([
      { facts: factsOf(federated), drawn: 'bar' },
      ...present.map((method) => ({ facts: factsOf(method), drawn: 'mark' as const })),
    ])}
${bothSizes((size) => barChart(chart, size))}`,
  );
}
