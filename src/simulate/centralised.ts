import { z } from 'zod';
import { bytesOf } from '../core/bytes.ts';
import { forEachOrdered } from '../core/concurrent.ts';
import { usableQuestions } from '../data/usable-questions.ts';
import type { Evaluated } from '../evaluate/evaluate.ts';
import { initialModel } from '../training/initial-model.ts';
import type { GradientResult } from '../training/jobs.ts';
import { ADAM_DEFAULTS } from '../training/optimizer.ts';
import { ParameterMemory } from '../training/parameter-memory.ts';
import { learningRateAt } from '../training/schedule.ts';
import { shareFloats } from '../training/shared-data.ts';
import { evaluateModel, evaluatePoint, evaluationDue, predictorFrom, type RunContext } from './context.ts';
import { pluginsOf } from './experiment.ts';
import { checkpointStore, freshProgress, type Progress, storedFloats } from './progress.ts';

/** Which comparison: as many optimiser steps as a federated group takes, or one step per round (the paper's). */
export type CentralisedMethod = 'centralised' | 'centralised-round-matched';

export interface CentralisedResult {
  readonly progress: Progress;
  readonly evaluated: Evaluated;
}

const stateSchema = z.object({
  parameters: storedFloats,
  first: storedFloats,
  second: storedFloats,
  steps: z.int(),
});

interface Central {
  readonly run: RunContext;
  /** Parameters, gradient and moments. */
  readonly memory: ParameterMemory;
  readonly totalSteps: number;
  /** Shares of the training groups in the mean. */
  readonly weights: ReadonlyMap<number, number>;
}

/** Shares of the training groups in the mean, as the strategy weighs their updates where it knows no scores; they sum to 1. */
function groupWeights({ experiment }: RunContext): Map<number, number> {
  const { survey, trainingGroups, heldOutQuestions } = experiment;
  const { strategy } = pluginsOf(experiment);
  const weights = trainingGroups.map((group) =>
    strategy.weightOf({ questions: usableQuestions(survey, heldOutQuestions, group), score: null }),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return new Map(trainingGroups.map((group, index) => [group, weights[index]! / total]));
}

/** One step on the mean gradient over one task from every training group; the mean loss. */
async function takeStep({ run, memory, totalSteps, weights }: Central, step: number): Promise<number> {
  const { trainingGroups, survey, config } = run.experiment;
  const shared = shareFloats(memory.parameters);
  const mean = new Float64Array(memory.parameters.length);
  let loss = 0;
  await forEachOrdered(
    trainingGroups,
    2 * run.pool.workers,
    (group) =>
      run.pool.run<'gradient'>({
        kind: 'gradient',
        parameters: shared,
        group,
        // The same tasks as in federated training, so that the comparison is paired.
        stream: ['group', survey.groups[group]!.id],
        step,
      }),
    (result: GradientResult, group) => {
      const weight = weights.get(group)!;
      loss += result.loss / trainingGroups.length;
      for (let i = 0; i < mean.length; i++) mean[i]! += weight * result.gradient[i]!;
    },
  );
  const { training } = config;
  const options = { ...ADAM_DEFAULTS, weightDecay: training.weightDecay };
  memory.gradient.set(mean);
  memory.step(learningRateAt(step, totalSteps, training), options);
  return loss;
}

/**
 * Trains one model on the pooled answers of all training groups, which federated training never pools: the
 * comparison that the paper makes. Steps use a batch of one task per group.
 */
export async function trainCentralised(
  run: RunContext,
  method: CentralisedMethod,
): Promise<CentralisedResult> {
  const { experiment, folder, fingerprint, emit } = run;
  const { rounds, localSteps } = experiment.config.training;
  const stepsPerRound = method === 'centralised' ? localSteps : 1;
  const store = checkpointStore(folder, method, fingerprint, stateSchema);
  const stored = store.load();
  const progress = stored?.progress ?? freshProgress();
  const { parameters: start } = stored?.state ?? initialModel(experiment.predictor, experiment.config.seed);
  const memory = new ParameterMemory(start.length);
  const { parameters } = memory;
  parameters.set(start);
  memory.begin(stored?.state ?? null);
  const central: Central = {
    run,
    memory,
    totalSteps: rounds * stepsPerRound,
    weights: groupWeights(run),
  };

  emit({ type: 'begin', method, label: method.replaceAll('-', ' '), round: progress.round, rounds });
  const evaluateAt = (step: number) =>
    evaluatePoint(run, method, predictorFrom(run, parameters), progress, step);
  if (stored === null) await evaluateAt(0);
  let evaluated: Evaluated | undefined;
  for (let round = progress.round + 1; round <= rounds; round++) {
    const started = performance.now();
    let loss = 0;
    for (let step = (round - 1) * stepsPerRound; step < round * stepsPerRound; step++) {
      loss += (await takeStep(central, step)) / stepsPerRound;
    }
    progress.seconds.train += (performance.now() - started) / 1000;
    progress.round = round;
    progress.losses.push(loss);
    emit({ type: 'round', method, round, rounds, loss });
    if (evaluationDue(experiment, round)) {
      evaluated = await evaluateAt(round * stepsPerRound);
    }
    const { first, second, steps } = memory.snapshot();
    store.save(progress, {
      parameters: bytesOf(parameters),
      first: bytesOf(first),
      second: bytesOf(second),
      steps,
    });
  }
  return { progress, evaluated: evaluated ?? (await evaluateModel(run, parameters)) };
}
