import { formatBytes } from '../../core/bytes.ts';
import { uploadedBy } from '../compare.ts';
import { duelInWords, type Finding, findingOf, headline } from '../finding.ts';
import { ABSENT, formatCount, formatInstant, formatScore, plural } from '../format.ts';
import { EMPTY, type Html, html } from '../markup.ts';
import { factsOf, methodOf } from '../methods.ts';
import type { RunRecord } from '../record.ts';

function setting(record: RunRecord): Html {
  const { split, survey, rounds, localSteps } = record;
  const unseen =
    split.unseenGroups.length === 0
      ? ''
      : `, then judged on ${plural(split.unseenGroups.length, 'other group')}`;
  return html`<p class="dek">The ${record.predictor.name} predictor (${formatCount(record.predictor.parameters)}
parameters) was trained by ${plural(split.trainingGroups.length, 'group')} of ${survey.name}
for ${plural(rounds, 'round')} of ${plural(localSteps, 'local step')}${unseen}.</p>`;
}

/** How firm the headline is: the two duels that matter most, and what a single seed cannot say. */
function caution({ main, duels }: Finding, seed: number): Html {
  const stepMatched = duels.find((duel) => duel.rival.id === 'centralised');
  const clauses = [main, stepMatched].flatMap((duel) => (duel === undefined ? [] : [duelInWords(duel)]));
  const gaps = clauses.length === 0 ? '' : `By mean alignment score it is ${clauses.join(', and ')}. `;
  return html`<p>${gaps}This is one run with one seed (${seed}): it cannot say how much of a small gap is chance.</p>`;
}

function fact(name: string, value: string, small: string): Html {
  return html`<div><dt>${name}</dt><dd>${value} <small>${small}</small></dd></div>`;
}

function uploadFact(record: RunRecord): Html {
  const federated = methodOf(record, 'federated');
  const perRound = formatBytes(record.bytes.uploadPerGroupPerRound);
  const value = federated === undefined ? ABSENT : uploadedBy(federated, record);
  return fact('One group uploads', value, `${perRound} a round`);
}

function keyFigures(record: RunRecord, finding: Finding | undefined): Html {
  const split = finding?.split ?? 'unseen';
  const whom = split === 'unseen' ? 'unseen groups' : 'training groups';
  const summary = methodOf(record, 'federated')?.summaries[split];
  const main = finding?.main;
  const rows = record.protection.reveals === 'rows';
  return html`<dl class="facts">
${fact('Federated', formatScore(summary?.mean), `mean alignment score of the ${whom}`)}
${fact('Best rival', formatScore(main?.rivalMean), main === undefined ? 'none was run' : `${factsOf(main.rival).phrase}; nobody’s answers are read`)}
${fact('Worst-served group', formatScore(summary?.worst), `federated, lowest of the ${whom}`)}
${uploadFact(record)}
${fact('The aggregator saw', rows ? 'every update' : 'sums only', rows ? 'each group’s, in clear' : `protection: ${record.protection.name}`)}
</dl>`;
}

/** The top of the page: the finding in one sentence, what was run, and the figures to remember. */
export function headerMarkup(record: RunRecord): Html {
  const finding = findingOf(record);
  return html`<header class="masthead">
<p class="kicker">${record.name} · ${record.survey.name} · ${formatInstant(record.finishedAt)}</p>
<h1>${headline(finding)}</h1>
${setting(record)}
${finding === undefined ? EMPTY : caution(finding, record.seed)}
${keyFigures(record, finding)}
</header>`;
}
