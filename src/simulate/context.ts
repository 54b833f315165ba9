import { type Evaluated, type EvaluatedGroup, evaluatePredictor } from '../evaluate/evaluate.ts';
import { meanOf } from '../evaluate/group-scores.ts';
import type { Predict } from '../predictor/prediction.ts';
import type { TrainingPool } from '../training/pool.ts';
import { predictWith } from '../training/pool-predict.ts';
import { shareFloats } from '../training/shared-data.ts';
import type { Emit } from './events.ts';
import type { Experiment } from './experiment.ts';
import type { Progress } from './progress.ts';

/** What every method of a run works with. */
export interface RunContext {
  readonly experiment: Experiment;
  readonly pool: TrainingPool;
  readonly folder: string;
  readonly fingerprint: string;
  readonly emit: Emit;
}

/** All groups of an experiment with their splits. */
export function evaluatedGroups({ trainingGroups, unseenGroups }: Experiment): EvaluatedGroup[] {
  return [
    ...trainingGroups.map((group) => ({ group, split: 'training' as const })),
    ...unseenGroups.map((group) => ({ group, split: 'unseen' as const })),
  ];
}

/** Evaluates anything that predicts, on the given groups (default: all), with the run's settings. */
export function evaluateOn(
  { experiment, pool }: RunContext,
  predict: Predict,
  groups: readonly EvaluatedGroup[] = evaluatedGroups(experiment),
): Promise<Evaluated> {
  const { config, survey, heldOutQuestions } = experiment;
  return evaluatePredictor({
    survey,
    groups,
    heldOutQuestions,
    contextQuestions: config.evaluation.contextQuestions,
    draws: config.evaluation.draws,
    seed: config.seed,
    predict,
    concurrency: 8 * pool.workers,
  });
}

/** What a model predicts, through the pool of a run. */
export function predictorFrom({ pool, experiment }: RunContext, parameters: Float32Array): Predict {
  return predictWith(pool, experiment.survey.questions, shareFloats(parameters));
}

/** Evaluates a model on all groups, through the pool of a run. */
export function evaluateModel(run: RunContext, parameters: Float32Array): Promise<Evaluated> {
  return evaluateOn(run, predictorFrom(run, parameters));
}

/** Evaluates what a model predicts, adds the point to the curve, and tells about it. */
export async function evaluatePoint(
  run: RunContext,
  method: string,
  predict: Predict,
  progress: Progress,
  step: number,
): Promise<Evaluated> {
  const started = performance.now();
  const evaluated = await evaluateOn(run, predict);
  progress.seconds.evaluate += (performance.now() - started) / 1000;
  const { round, losses, curve } = progress;
  const since = losses.slice(curve.at(-1)?.round ?? 0);
  const loss = since.length > 0 ? meanOf(since) : null;
  const { summaries } = evaluated.evaluation;
  curve.push({ round, step, loss, summaries });
  run.emit({ type: 'evaluation', method, round, step, summaries });
  return evaluated;
}

/** Whether a curve has a point after this round. */
export function evaluationDue(experiment: Experiment, round: number): boolean {
  const { evaluation, training } = experiment.config;
  return round % evaluation.every === 0 || round === training.rounds;
}
