import { ABSENT, formatCount, formatInstant, plural } from '../format.ts';
import { EMPTY, type Html, html } from '../markup.ts';
import type { RunRecord } from '../record.ts';
import { propertiesMarkup, type Section } from './parts.ts';

function listed(groups: readonly string[]): string | Html {
  if (groups.length === 0) return 'none';
  return html`<ul class="names" aria-label="${plural(groups.length, 'group')}">${groups.map((group) => html`<li>${group}</li>`)}</ul>`;
}

/** What the import repaired or left out: nothing is dropped silently. */
function warningsMarkup(warnings: readonly string[]): Html {
  if (warnings.length === 0) return EMPTY;
  return html`<h3>Repaired or left out</h3>
<ul class="warnings">${warnings.map((warning) => html`<li>${warning}</li>`)}</ul>`;
}

/** Whose data this is, how it was split, and what the import changed. */
export function dataSection(record: RunRecord): Section {
  const { survey, warnings, split, contextQuestions, draws, features } = record;
  const { provenance } = survey;
  const size = [
    plural(survey.questions, 'question'),
    plural(survey.groups, 'group'),
    plural(survey.answers, 'answer distribution'),
  ];
  const table = propertiesMarkup('Survey, split and features', [
    ['Survey', survey.name],
    ['Size', size.join(', ')],
    ['Source', provenance.source],
    ['Licence', provenance.licence],
    ['Attribution', provenance.attribution],
    [`Training groups (${split.trainingGroups.length})`, listed(split.trainingGroups)],
    [`Unseen groups (${split.unseenGroups.length})`, listed(split.unseenGroups)],
    ['Held-out questions', formatCount(split.heldOutQuestions)],
    [
      'Context',
      `${plural(contextQuestions, 'question')} a group, scores averaged over ${plural(draws, 'draw')}`,
    ],
    ['Features', `${features.provider}, width ${features.width}`],
    ['Features digest', features.digest],
  ]);
  const body = html`${table}
${warningsMarkup(warnings)}`;
  return { id: 'data', title: 'Data', body };
}

/** Everything needed to run it again and to tell whether the result is the same. */
export function environmentSection(record: RunRecord): Section {
  const { environment } = record;
  const table = propertiesMarkup('Versions, machine and digests', [
    ['pluralllm', environment.version],
    ['Commit', environment.commit ?? ABSENT],
    ['Seed', String(record.seed)],
    ['Config digest', record.configDigest],
    ['Model digest', record.modelDigest],
    ['Node.js', environment.node],
    ['ONNX Runtime', environment.onnxruntime],
    ['Device', environment.device],
    [
      'Machine',
      `${environment.cpu}, ${plural(environment.cores, 'core')}, ${plural(environment.workers, 'worker')}`,
    ],
    ['Platform', environment.platform],
    ['Started', formatInstant(record.startedAt)],
    ['Finished', formatInstant(record.finishedAt)],
  ]);
  const body = html`<p>To check this run, repeat it with the same configuration, seed, versions and device, and compare the model digest.</p>
${table}
<details class="config"><summary>The frozen configuration, with every default filled in</summary>
<pre tabindex="0" aria-label="Configuration as YAML; one click selects all of it">${record.configYaml}</pre></details>`;
  return { id: 'environment', title: 'Environment and configuration', body };
}
