import { convergenceIndex } from '../evaluate/convergence.ts';
import type { Evaluation } from '../evaluate/evaluation.ts';
import { BASELINES } from '../predictor/baselines/table.ts';
import type { ConvergencePoint, MethodRecord } from '../report/record.ts';
import { type CentralisedMethod, trainCentralised } from './centralised.ts';
import { evaluateOn, type RunContext } from './context.ts';
import type { FederatedResult } from './federated.ts';
import { trainLocalOnly } from './local-only.ts';
import type { Progress } from './progress.ts';

/** Where the training loss had made 95% of its final improvement (design of the comparison: docs in evaluate/). */
function convergenceOf(
  { losses }: Progress,
  stepsPerRound: number,
  bytesPerRound: number,
): ConvergencePoint | null {
  const index = convergenceIndex(losses, { direction: 'down' });
  if (index === null) return null;
  const round = index + 1;
  return { round, step: round * stepsPerRound, uploadedBytes: round * bytesPerRound };
}

function scoresOf({ scores, summaries }: Evaluation) {
  return { scores, summaries };
}

/** The record of federated training. */
export function federatedRecord({ experiment }: RunContext, result: FederatedResult): MethodRecord {
  const { training, protection } = experiment.config;
  const { progress, traffic, evaluated } = result;
  const bytesPerRound = traffic.uploaded / training.rounds / experiment.trainingGroups.length;
  return {
    id: 'federated',
    label: 'Federated',
    kind: 'trained',
    sees: protection.name === 'none' ? "every group's update in clear" : 'only the sum of the updates',
    curve: progress.curve,
    ...scoresOf(evaluated.evaluation),
    convergence: convergenceOf(progress, training.localSteps, bytesPerRound),
  };
}

async function centralisedRecord(run: RunContext, id: CentralisedMethod): Promise<MethodRecord> {
  const { rounds, localSteps } = run.experiment.config.training;
  const stepMatched = id === 'centralised';
  const { progress, evaluated } = await trainCentralised(run, id);
  return {
    id,
    label: stepMatched ? 'Centralised, step-matched' : 'Centralised, round-matched',
    kind: 'trained',
    sees: "every group's answers in clear, pooled",
    curve: progress.curve,
    ...scoresOf(evaluated.evaluation),
    convergence: convergenceOf(progress, stepMatched ? localSteps : 1, 0),
    note: stepMatched
      ? `As many optimiser steps as each federated group takes: ${rounds * localSteps}.`
      : `One optimiser step per round, ${rounds} in all, as published: ${localSteps} times fewer than a federated group takes.`,
  };
}

async function localOnlyRecord(run: RunContext): Promise<MethodRecord> {
  const { progress, evaluation, best } = await trainLocalOnly(run);
  const count = run.experiment.trainingGroups.length;
  return {
    id: 'local-only',
    label: 'Local only',
    kind: 'trained',
    sees: "nothing of other groups' data",
    curve: progress.curve,
    ...scoresOf(evaluation),
    convergence: null,
    best,
    note: `Mean over ${count} models, one per training group. A training group is scored by its own model on the questions that the model was trained on: that figure shows memory, not prediction.`,
  };
}

async function baselineRecord(run: RunContext, id: string): Promise<MethodRecord> {
  const baseline = BASELINES.find(({ name }) => name === id)!;
  const { survey, trainingGroups, heldOutQuestions } = run.experiment;
  run.emit({ type: 'begin', method: id, label: baseline.label, round: 0, rounds: 1 });
  const predict = baseline.create(survey, trainingGroups, heldOutQuestions);
  const { evaluation } = await evaluateOn(run, predict);
  const round = run.experiment.config.training.rounds;
  run.emit({ type: 'evaluation', method: id, round, step: 0, summaries: evaluation.summaries });
  return {
    id,
    label: baseline.label,
    kind: 'baseline',
    sees: baseline.sees,
    curve: [],
    ...scoresOf(evaluation),
    convergence: null,
  };
}

/** Makes one of the comparisons of `compare:` in the configuration. */
export function compareWith(run: RunContext, id: string): Promise<MethodRecord> {
  if (id === 'centralised' || id === 'centralised-round-matched') return centralisedRecord(run, id);
  return id === 'local-only' ? localOnlyRecord(run) : baselineRecord(run, id);
}
