import { z } from 'zod';
import type { Config } from '../config/config.ts';
import { revealedBy } from '../config/round-plugins.ts';
import { convergenceIndex } from '../evaluate/convergence.ts';
import type { Evaluation } from '../evaluate/evaluation.ts';
import { BASELINES } from '../predictor/baselines/table.ts';
import type { ConvergencePoint, MethodRecord } from '../report/record.ts';
import { groupScoreSchema, summariesSchema } from '../report/record-schema.ts';
import { asStorable } from '../training/checkpoint.ts';
import { type CentralisedMethod, trainCentralised } from './centralised.ts';
import { evaluateOn, type RunContext } from './context.ts';
import type { FederatedResult } from './federated.ts';
import { trainLocalOnly } from './local-only.ts';
import { checkpointStore, freshProgress, type Progress } from './progress.ts';

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

/** A comparison, and what it cost. */
export interface Compared {
  readonly record: MethodRecord;
  /** Wall-clock seconds over all sessions of the run. */
  readonly seconds: number;
}

function compared(record: MethodRecord, { seconds }: Progress): Compared {
  return { record, seconds: seconds.train + seconds.aggregate + seconds.evaluate };
}

function scoresOf({ scores, summaries }: Evaluation) {
  return { scores, summaries };
}

function seenBy(config: Config): string {
  const updates =
    revealedBy(config) === 'rows' ? "every group's update in clear" : 'only the sum of the updates';
  return config.sharding === null ? updates : `${updates}, of front and head`;
}

function noteOn({ sharding }: Config): string {
  const moments =
    'Each group starts every round with fresh moments of Adam; the centralised runs keep theirs';
  if (sharding === null) return `${moments}.`;
  return `${moments}, and so do the keepers of the middle stages, who take a step along the mean of all groups in each of their steps. This run simulated the keepers in one process.`;
}

/** The record of federated training. */
export function federatedRecord({ experiment }: RunContext, result: FederatedResult): MethodRecord {
  const { training } = experiment.config;
  const { progress, traffic, evaluated } = result;
  const bytesPerRound = traffic.uploaded / training.rounds / experiment.trainingGroups.length;
  return {
    id: 'federated',
    label: 'Federated',
    kind: 'trained',
    sees: seenBy(experiment.config),
    note: noteOn(experiment.config),
    curve: progress.curve,
    ...scoresOf(evaluated.evaluation),
    convergence: convergenceOf(progress, training.localSteps, bytesPerRound),
  };
}

async function centralisedRecord(run: RunContext, id: CentralisedMethod): Promise<Compared> {
  const { rounds, localSteps } = run.experiment.config.training;
  const stepMatched = id === 'centralised';
  const { progress, evaluated } = await trainCentralised(run, id);
  const record: MethodRecord = {
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
  return compared(record, progress);
}

async function localOnlyRecord(run: RunContext): Promise<Compared> {
  const { progress, evaluation, best } = await trainLocalOnly(run);
  const count = run.experiment.trainingGroups.length;
  const record: MethodRecord = {
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
  return compared(record, progress);
}

const evaluationSchema: z.ZodType<Pick<Evaluation, 'scores' | 'summaries'>> = z.object({
  scores: z.array(groupScoreSchema),
  summaries: summariesSchema,
});

/** Baselines are quick, but stored all the same: a resumed run must not write their figures twice. */
async function baselineRecord(run: RunContext, id: string): Promise<Compared> {
  const baseline = BASELINES.find(({ name }) => name === id)!;
  const { survey, trainingGroups, heldOutQuestions, config } = run.experiment;
  const store = checkpointStore(run.folder, id, run.fingerprint, evaluationSchema);
  const stored = store.load();
  const progress = stored?.progress ?? freshProgress();
  let evaluation = stored?.state;
  run.emit({ type: 'begin', method: id, label: baseline.label, round: stored === null ? 0 : 1, rounds: 1 });
  if (evaluation === undefined) {
    const started = performance.now();
    const predict = baseline.create(survey, trainingGroups, heldOutQuestions);
    evaluation = (await evaluateOn(run, predict)).evaluation;
    progress.seconds.evaluate = (performance.now() - started) / 1000;
    progress.round = config.training.rounds;
    const { summaries } = evaluation;
    run.emit({ type: 'evaluation', method: id, round: progress.round, step: 0, summaries });
    store.save(progress, asStorable(evaluation));
  }
  const { label, sees } = baseline;
  const { scores, summaries } = evaluation;
  const record: MethodRecord = {
    id,
    label,
    kind: 'baseline',
    sees,
    curve: [],
    scores,
    summaries,
    convergence: null,
  };
  return compared(record, progress);
}

/** Makes one of the comparisons of `compare:` in the configuration. */
export function compareWith(run: RunContext, id: string): Promise<Compared> {
  if (id === 'centralised' || id === 'centralised-round-matched') return centralisedRecord(run, id);
  return id === 'local-only' ? localOnlyRecord(run) : baselineRecord(run, id);
}
