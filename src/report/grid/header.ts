import { formatBytes } from '../../core/bytes.ts';
import { findingOf, headline } from '../finding.ts';
import { ABSENT, formatInstant, formatScore, formatSeconds, plural } from '../format.ts';
import { type Html, html } from '../markup.ts';
import { GROUPS_OF } from './curves.ts';
import type { GridRecords } from './records.ts';
import { seedsInWords } from './sections.ts';
import { formatSpread, type Spread } from './spread.ts';
import { mainSplit, ranked, type SettingView } from './view.ts';

function federatedSpread(
  { summary }: SettingView,
  figure: 'mean' | 'worst',
  split: 'unseen' | 'training',
): Spread | undefined {
  return summary.methods.find(({ id }) => id === 'federated')?.splits[split]?.[figure];
}

function scored(spread: Spread | undefined): string {
  return `${formatScore(spread?.mean ?? undefined)} ${formatSpread(spread?.spread)}`.trimEnd();
}

function fact(name: string, value: string, small: string): Html {
  return html`<div><dt>${name}</dt><dd>${value} <small>${small}</small></dd></div>`;
}

function caution(views: readonly SettingView[], seeds: number): Html {
  const chosen =
    views.length === 1
      ? ''
      : ' The best setting is chosen by the very scores that are shown, which flatters it: judge it again on groups that took no part in the choice.';
  const chance =
    seeds === 1
      ? 'This is one seed: it cannot say how much of a small gap is chance.'
      : `The figure after ± is the standard deviation over ${plural(seeds, 'seed')}, not the error of the mean.`;
  return html`<p>${chance}${chosen}</p>`;
}

function timeOf(records: GridRecords): number {
  const phases = records.settings.flatMap(({ runs }) => runs.flatMap(({ record }) => record.phases));
  return phases.reduce((sum, { seconds }) => sum + seconds, 0);
}

/** The top of the page: what the grid found in one sentence, what was run, and the figures to remember. */
export function headerMarkup(views: readonly SettingView[], records: GridRecords): Html {
  const split = mainSplit(views);
  const best = ranked(views)[0]!;
  const mean = federatedSpread(best, 'mean', split);
  const runs = records.settings.flatMap(({ runs }) => runs);
  const survey = runs[0]?.record.survey.name ?? '';
  const finished = runs
    .map(({ record }) => record.finishedAt)
    .sort()
    .at(-1);
  const finding = headline(findingOf(best.average));
  const title =
    views.length === 1
      ? finding
      : `Of ${plural(views.length, 'setting')}, “${best.runs.short}” serves the ${GROUPS_OF[split]} best: ${scored(mean)}.`;
  const uploaded = best.summary.bytes.uploadedPerGroup.mean;
  return html`<header class="masthead">
<p class="kicker">${records.name} · ${survey} · ${finished === undefined ? ABSENT : formatInstant(finished)}</p>
<h1>${title}</h1>
<p class="dek">${plural(views.length, 'setting')} with ${plural(records.seeds.length, 'seed')} (${records.seeds.join(', ')}): ${plural(runs.length, 'run')}.
Seeds change: ${seedsInWords(views).replace(/^T/, 't')}.</p>
${views.length === 1 ? '' : html`<p>Under that setting: ${finding.replace(/^./u, (first) => first.toLowerCase())}</p>`}
${caution(views, records.seeds.length)}
<dl class="facts">
${fact('Federated', scored(mean), `mean alignment score of the ${GROUPS_OF[split]}${views.length === 1 ? '' : ', best setting'}`)}
${fact('Worst-served group', scored(federatedSpread(best, 'worst', split)), `federated, lowest of the ${GROUPS_OF[split]}`)}
${fact('One group uploads', uploaded === null ? ABSENT : formatBytes(Math.round(uploaded)), 'over a whole run')}
${fact('Time', formatSeconds(timeOf(records)), `all ${plural(runs.length, 'run')} together`)}
</dl>
</header>`;
}
