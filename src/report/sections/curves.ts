import type { SplitName } from '../../evaluate/evaluation.ts';
import { plural } from '../format.ts';
import { EMPTY, type Html, html } from '../markup.ts';
import { factsOf, orderedMethods } from '../methods.ts';
import type { LineSeries } from '../plots/lines.ts';
import type { RunRecord } from '../record.ts';
import { curveFigure, curvePoints } from './curve-figure.ts';
import { SEEN_IN_TRAINING, type Section } from './parts.ts';

function alignmentSeries(record: RunRecord, split: SplitName): readonly LineSeries[] {
  return orderedMethods(record).flatMap((method): readonly LineSeries[] => {
    const facts = factsOf(method);
    const points = curvePoints(method, ({ summaries }) => summaries[split]?.mean);
    const level = method.summaries[split]?.mean;
    if (points.length > 0) return [{ facts, points }];
    return level === undefined ? [] : [{ facts, points, level }];
  });
}

function unseenFigure(record: RunRecord): Html {
  const groups = plural(record.split.unseenGroups.length, 'group');
  return curveFigure({
    title: 'Unseen groups',
    reading: `Mean over ${groups} that took no part in training. Curves are trained; lines across are baselines without training. Higher is better.`,
    series: alignmentSeries(record, 'unseen'),
    valueLabel: 'alignment score',
    room: 'full',
  });
}

function otherFigures(record: RunRecord): Html {
  const newQuestions = alignmentSeries(record, 'unseen-questions');
  const room = newQuestions.length === 0 ? 'full' : 'half';
  const training = curveFigure({
    title: 'Training groups',
    reading: `Mean over the groups that trained. ${SEEN_IN_TRAINING}`,
    series: alignmentSeries(record, 'training'),
    valueLabel: 'alignment score',
    room,
  });
  if (room === 'full') return training;
  const questions = curveFigure({
    title: 'Unseen groups, new questions',
    reading: `${plural(record.split.heldOutQuestions, 'question')} that no group was asked in training.`,
    series: newQuestions,
    valueLabel: 'alignment score',
    room,
  });
  return html`<div class="pair">
${training}
${questions}
</div>`;
}

/** Alignment by round on every split of the run. */
export function curvesSection(record: RunRecord): Section {
  const unseen = unseenFigure(record);
  const body = html`<p>A round of step-matched centralised training takes as many optimiser steps as each group takes
(${record.localSteps}); a round of the round-matched one takes a single step.</p>
${unseen === EMPTY ? html`<p>No group was held out in this run.</p>` : unseen}
${otherFigures(record)}`;
  return { id: 'rounds', title: 'Alignment by round', body };
}
