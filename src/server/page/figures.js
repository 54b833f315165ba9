import { byId } from './dom.js';
import { bytes, count, score } from './format.js';
import { missingScores } from './known.js';
import { Plot } from './plot.js';

/** The plots of a run, each with what it reads from the status. */

/** @typedef {import('../../wire/http.ts').RunStatus} RunStatus */
/** @typedef {import('./drawing.js').PlotSpec} PlotSpec */
/** @typedef {{ host: string, spec: PlotSpec, scored?: true, rows: (status: RunStatus) => import('./drawing.js').Row[] }} Figure */

const LINE = /** @type {const} */ ({
  kind: 'line',
  format: score,
  /** @type {PlotSpec['formatTick']} */
  formatTick: (value, decimals) => value.toFixed(Math.max(2, decimals)),
});
const COLUMNS = /** @type {const} */ ({
  kind: 'columns',
  series: [{ name: 'all groups', style: 'solid' }],
});
const NO_SCORES =
  'No scores yet. Groups score each model on their own answers; the mean stands here once they have sent it.';
const NO_ROUNDS = 'No round is published yet.';

/** @type {readonly Figure[]} */
const FIGURES = [
  {
    host: 'scores-wide',
    spec: {
      ...LINE,
      title: 'Alignment',
      reading: 'Mean over the groups, and the group that is served worst. Higher is better, 1 is perfect.',
      unit: 'alignment score',
      empty: NO_SCORES,
      series: [
        { name: 'mean', style: 'solid' },
        { name: 'worst', style: 'dashed' },
      ],
      limits: { span: 0.04, floor: 0, ceiling: 1 },
    },
    scored: true,
    rows: ({ scores }) => scores.map(({ round, mean, worst }) => ({ round, values: [mean, worst] })),
  },
  {
    host: 'scores-pair',
    spec: {
      ...LINE,
      title: 'Fairness index',
      reading: '1 if all groups are served equally well.',
      unit: 'fairness index',
      empty: NO_SCORES,
      series: [{ name: 'fairness index', style: 'solid' }],
      limits: { span: 0.02, floor: 0, ceiling: 1 },
    },
    scored: true,
    rows: ({ scores }) => scores.map(({ round, fairnessIndex }) => ({ round, values: [fairnessIndex] })),
  },
  {
    host: 'scores-pair',
    spec: {
      ...LINE,
      title: 'Training loss',
      reading: 'Mean over the groups that trained. Lower is better.',
      unit: 'loss',
      empty: 'No training loss yet. It comes with the scores of the first trained model.',
      series: [{ name: 'mean loss', style: 'solid' }],
      limits: { span: 0.02, floor: Number.NEGATIVE_INFINITY, ceiling: Number.POSITIVE_INFINITY },
    },
    scored: true,
    rows: ({ scores }) => scores.map(({ round, loss }) => ({ round, values: [loss] })),
  },
  {
    host: 'traffic-pair',
    spec: {
      ...COLUMNS,
      title: 'Bytes uploaded',
      reading: 'All updates of the round together.',
      unit: 'bytes',
      empty: NO_ROUNDS,
      format: (value) => (value === null || value === undefined ? score(null) : bytes(value)),
      formatTick: (value) =>
        bytes(value)
          .replace(/\.0+ /, ' ')
          .replace(/(\.\d*[1-9])0+ /, '$1 '),
      limits: { span: 1000, floor: 0, ceiling: Number.POSITIVE_INFINITY },
    },
    rows: ({ history }) =>
      trained(history).map(({ round, uploadedBytes }) => ({ round, values: [uploadedBytes] })),
  },
  {
    host: 'traffic-pair',
    spec: {
      ...COLUMNS,
      title: 'Updates',
      reading: 'Groups whose update is part of the round’s model.',
      unit: 'updates',
      empty: NO_ROUNDS,
      format: (value) => (value === null || value === undefined ? score(null) : count(value)),
      formatTick: (value, decimals) => (decimals > 0 ? '' : count(value)),
      limits: { span: 4, floor: 0, ceiling: Number.POSITIVE_INFINITY },
    },
    rows: ({ history }) => trained(history).map(({ round, updates }) => ({ round, values: [updates] })),
  },
];

/**
 * Round 0 is the start, to which nobody sent anything.
 * @param {RunStatus['history']} history
 */
function trained(history) {
  return history.filter(({ round }) => round > 0);
}

/**
 * Puts the plots into the page.
 * @returns {(status: RunStatus) => void} shows a status in them
 */
export function makeFigures() {
  const plots = FIGURES.map(({ host, spec, scored, rows }) => ({
    plot: new Plot(byId(host, HTMLElement), spec),
    scored,
    rows,
  }));
  return (status) => {
    const { sentence } = missingScores(status.holds);
    for (const { plot, scored, rows } of plots) {
      plot.show(
        rows(status).sort((a, b) => a.round - b.round),
        status.rounds,
        scored === true ? sentence : null,
      );
    }
  };
}
