import { formatBytes } from '../../core/bytes.ts';
import { ABSENT, formatCount, plural } from '../format.ts';
import { type Html, html } from '../markup.ts';
import { factsOf, orderedMethods } from '../methods.ts';
import type { MethodRecord, RunRecord } from '../record.ts';
import { curveFigure, curvePoints } from './curve-figure.ts';
import { type Section, tableMarkup } from './parts.ts';

function convergenceRow(method: MethodRecord): { readonly content: string }[] {
  const point = method.convergence;
  if (point === null) {
    return [method.label, 'never improved', ABSENT, ABSENT].map((content) => ({ content }));
  }
  const sent = factsOf(method).sends === 'updates' ? formatBytes(Math.round(point.uploadedBytes)) : ABSENT;
  return [
    { content: method.label },
    { content: formatCount(point.round) },
    { content: formatCount(point.step) },
    { content: sent },
  ];
}

function lossFigure(record: RunRecord): Html {
  const series = orderedMethods(record).flatMap((method) => {
    const points = curvePoints(method, ({ loss }) => loss ?? undefined);
    return points.length === 0 ? [] : [{ facts: factsOf(method), points }];
  });
  return curveFigure({
    title: 'Training loss',
    reading:
      'Mean since the evaluation before. Lower is better; each method’s loss is over its own training data.',
    series,
    valueLabel: 'loss',
    room: 'full',
  });
}

/** When each trained method had made nearly all of its improvement, counted in three ways. */
export function convergenceSection(record: RunRecord): Section {
  const trained = orderedMethods(record).filter(({ kind }) => kind === 'trained');
  const table = tableMarkup({
    caption: 'Where the smoothed loss had made 95% of its final improvement',
    head: ['Method', 'round', 'optimiser step', 'sent by one group'],
    rows: trained.map((method) => ({
      className: method.id === 'federated' ? 'leading' : '',
      cells: convergenceRow(method),
    })),
    className: 'full tight compare',
  });
  const body = html`${table}
<p>Rounds flatter federated training. In one round each group takes ${plural(record.localSteps, 'step')}, so a centralised
run that takes one step a round (<em>round-matched</em>, the published comparison) has done a fraction of the work. The
<em>step-matched</em> run takes as many steps as a group does; only against it does “faster” mean anything. Compare
the column of steps first, and the bytes if the network is the bottleneck.</p>
${lossFigure(record)}`;
  return { id: 'convergence', title: 'Convergence', body };
}
