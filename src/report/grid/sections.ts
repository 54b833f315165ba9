import { formatBytes } from '../../core/bytes.ts';
import { ABSENT, formatCount, formatScore, formatSeconds, plural } from '../format.ts';
import { EMPTY, type Html, html } from '../markup.ts';
import { factsOf, orderedMethods } from '../methods.ts';
import { SCORE_FLOOR } from '../plots/bars.ts';
import { figureCell } from '../sections/comparison.ts';
import { groupBars } from '../sections/group-bars.ts';
import { type Cell, propertiesMarkup, type Section, tableMarkup, titled } from '../sections/parts.ts';
import { GROUPS_OF } from './curves.ts';
import { folded } from './folded.ts';
import type { GridRecords } from './records.ts';
import type { Spread } from './spread.ts';
import type { GridSummary } from './summary.ts';
import { compareIn, compareSettings, mainSplit, type SettingView, type SpreadCell } from './view.ts';

/** A mean with its spread in small print below, so that the columns stay narrow. */
function spreadCell({ text, best, spread }: SpreadCell): Cell {
  const { content, ...rest } = figureCell(text, best);
  return { content: spread === '' ? content : html`${content}<small>${spread}</small>`, ...rest };
}

function settingsTable(views: readonly SettingView[]): Html {
  if (views.length < 2) return EMPTY;
  const { measures, rows } = compareSettings(views);
  return tableMarkup({
    caption: 'Federated training under each setting; worst, CoV and fairness are of the unseen groups',
    head: ['Setting', ...measures.map(({ title }) => title), 'upload per group'],
    rows: rows.map(({ cells, uploaded }, i) => ({
      cells: [{ content: views[i]?.name ?? '' }, ...cells.map(spreadCell), { content: uploaded }],
    })),
    className: 'full tight compare',
  });
}

/** Settings against methods by the mean of the main split; a dot at the best method of a setting. */
function matrixTable(views: readonly SettingView[]): Html {
  if (views.length < 2) return EMPTY;
  const split = mainSplit(views);
  const rowsOf = views.map(
    (view) => compareIn(view, [{ title: 'mean', split, figure: 'mean', better: 'higher' }]).rows,
  );
  const methods = orderedMethods({ methods: views.flatMap(({ average }) => average.methods) });
  const ids = [...new Set(methods.map(({ id }) => id))];
  return tableMarkup({
    caption: `Every method under each setting: mean of the ${GROUPS_OF[split]}, a dot at the best method of a setting`,
    head: ['Setting', ...ids.map((id) => factsOf(methods.find((method) => method.id === id)!).short)],
    rows: views.map(({ name }, i) => ({
      cells: [
        { content: name },
        ...ids.map((id) => {
          const cell = rowsOf[i]?.find(({ method }) => method.id === id)?.cells[0];
          return cell === undefined ? { content: ABSENT } : spreadCell(cell);
        }),
      ],
    })),
    className: 'full tight compare',
  });
}

function methodsTable(view: SettingView, several: boolean): Html {
  const { measures, rows } = compareIn(view);
  return tableMarkup({
    caption: `${several ? `The methods under ${view.name}` : 'The methods'}; worst, CoV and fairness are of the unseen groups`,
    head: ['Method', ...measures.map(({ title }) => title), 'upload per group'],
    rows: rows.map(({ method, cells, uploaded }) => ({
      className: method.id === 'federated' ? 'leading' : '',
      cells: [
        { content: titled(method.label, `sees ${method.sees}`) },
        ...cells.map(spreadCell),
        { content: uploaded },
      ],
    })),
    className: 'full tight compare',
  });
}

/** Settings against each other, and the methods of each. */
export function comparisonSection(views: readonly SettingView[], { seeds }: GridRecords): Section {
  const figures =
    seeds.length === 1
      ? 'Figures are of one seed: they cannot say how much of a gap is chance.'
      : `Figures are means over ${plural(seeds.length, 'seed')} ± their sample standard deviation.`;
  const body = html`<p>${figures} The alignment score is one less the Jensen–Shannon distance (natural logarithm): 1 is perfect,
${formatScore(SCORE_FLOOR)} the lowest possible. A dot marks the best mean of a column; where the spreads overlap it need not be better.</p>
${settingsTable(views)}
${matrixTable(views)}
${folded(views, (view) => methodsTable(view, views.length > 1))}`;
  return { id: 'methods', title: 'How settings and methods compare', body };
}

/** One bar per group, averaged over the seeds. */
export function groupsSection(views: readonly SettingView[]): Section {
  const split = mainSplit(views);
  const moving = views.some(({ summary, runs }) => summary.seedsDrawSplits && runs.runs.length > 1);
  const over = moving
    ? ` Each seed drew its own groups: a bar is the mean over the seeds with which the group was one of the ${GROUPS_OF[split]}.`
    : ' A bar is the mean over the seeds.';
  const body = html`<p>A mean can hide a group that is served badly.${over} Bars start at the lowest possible score,
${formatScore(SCORE_FLOOR)}.</p>
${folded(views, (view) => groupBars(view.average, split, `${view.name}: ${GROUPS_OF[split]}`))}`;
  return { id: 'groups', title: 'Group by group', body };
}

function spreadText({ mean, spread }: Spread, format: (value: number) => string): string {
  if (mean === null) return ABSENT;
  return spread === null ? format(mean) : `${format(mean)} ±\u00a0${format(spread)}`;
}

const oneDigit = (value: number): string => value.toFixed(1);

/** Seeds change what is sent by a few bytes of framing at most. */
function bytesText({ mean }: Spread): string {
  return mean === null ? ABSENT : formatBytes(Math.round(mean));
}

function costRows(views: readonly SettingView[]) {
  return views.map(({ name, summary }) => {
    const convergence = summary.methods.find(({ id }) => id === 'federated')?.convergence;
    const cells = [
      name,
      convergence === undefined ? ABSENT : spreadText(convergence.round, oneDigit),
      convergence === undefined ? ABSENT : spreadText(convergence.step, oneDigit),
      bytesText(summary.bytes.uploadedPerGroup),
      bytesText(summary.bytes.downloadedPerGroup),
      spreadText(summary.seconds, formatSeconds),
    ];
    return { cells: cells.map((content) => ({ content })) };
  });
}

/** When training had made nearly all of its improvement, and what it took. */
export function costSection(views: readonly SettingView[]): Section {
  const body = html`${tableMarkup({
    caption:
      'Federated training: where the smoothed loss had made 95% of its final improvement, and what a whole run cost',
    head: [
      'Setting',
      'converged, round',
      'optimiser step',
      'sent by a group',
      'received by a group',
      'time of a run',
    ],
    rows: costRows(views),
    className: 'full tight compare',
  })}
<p class="note">The time of a run includes its comparisons and evaluations. Seeds with which the loss never improved have no round.</p>`;
  return { id: 'cost', title: 'Convergence and cost', body };
}

function cellsTable(summary: GridSummary): Html {
  return tableMarkup({
    caption:
      'The runs, each with a report of its own in its folder; digests shortened, in full in summary.json',
    head: ['Folder', 'seed', 'config digest', 'model digest'],
    rows: summary.cells.map(({ folder, seed, configDigest, modelDigest }) => ({
      cells: [folder, String(seed), configDigest.slice(0, 12), modelDigest.slice(0, 12)].map((content) => ({
        content,
      })),
    })),
    className: 'full tight',
  });
}

function listed(values: readonly (string | null)[]): string {
  return [...new Set(values.map((value) => value ?? ABSENT))].join(', ');
}

/** What the seeds of a grid change, in words. */
export function seedsInWords(views: readonly SettingView[]): string {
  const drawing = views.filter(({ summary }) => summary.seedsDrawSplits).length;
  if (drawing === 0) return 'Training and evaluation alone; all seeds share one split of the groups';
  const which =
    drawing === views.length ? 'Training, evaluation' : 'Training, evaluation, and under some settings';
  return `${which} and the split: each seed draws its own training and unseen groups`;
}

function frozen({ name, runs }: SettingView): Html {
  const [first] = runs.runs;
  return html`<details class="config"><summary>The frozen configuration of ${name}, seed ${first?.seed ?? 0}</summary>
<pre tabindex="0" aria-label="Configuration as YAML; one click selects all of it">${first?.record.configYaml ?? ''}</pre></details>`;
}

/** Everything needed to run it again and to tell whether the result is the same. */
export function provenanceSection(
  views: readonly SettingView[],
  records: GridRecords,
  summary: GridSummary,
): Section {
  const runs = records.settings.flatMap(({ runs }) => runs.map(({ record }) => record));
  const environments = runs.map(({ environment }) => environment);
  const table = propertiesMarkup('Data, versions and machine', [
    ['Survey', listed(runs.map(({ survey }) => survey.name))],
    ['Source', listed(runs.map(({ survey }) => survey.provenance.source))],
    ['Licence', listed(runs.map(({ survey }) => survey.provenance.licence))],
    ['Attribution', listed(runs.map(({ survey }) => survey.provenance.attribution))],
    ['Seeds', records.seeds.join(', ')],
    ['Seeds change', seedsInWords(views)],
    ['pluralllm', listed(summary.cells.map(({ version }) => version))],
    ['Commit', listed(summary.cells.map(({ commit }) => commit))],
    ['Node.js', listed(environments.map(({ node }) => node))],
    ['ONNX Runtime', listed(environments.map(({ onnxruntime }) => onnxruntime))],
    ['Device', listed(environments.map(({ device }) => device))],
    [
      'Machine',
      listed(
        environments.map(
          ({ cpu, cores, workers }) => `${cpu}, ${plural(cores, 'core')}, ${plural(workers, 'worker')}`,
        ),
      ),
    ],
    ['Platform', listed(environments.map(({ platform }) => platform))],
    ['Protection', listed(runs.map(({ protection }) => protection.name))],
    [
      'Parameters',
      listed(runs.map(({ predictor }) => `${predictor.name} ${formatCount(predictor.parameters)}`)),
    ],
  ]);
  const body = html`${table}
${cellsTable(summary)}
${views.map(frozen)}`;
  return { id: 'provenance', title: 'Provenance', body };
}
