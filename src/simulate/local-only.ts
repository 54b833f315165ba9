import { z } from 'zod';
import { forEachOrdered } from '../core/concurrent.ts';
import { invariant } from '../core/errors.ts';
import { evaluationOf } from '../evaluate/evaluate.ts';
import { type Evaluation, SPLITS, type SplitName, type Summary } from '../evaluate/evaluation.ts';
import { meanOf, type QuestionScore } from '../evaluate/group-scores.ts';
import { summarise } from '../evaluate/summary.ts';
import { summariesSchema } from '../report/record-schema.ts';
import type { OptimizerSnapshot, TrainResult } from '../training/jobs.ts';
import { shareFloats } from '../training/shared-data.ts';
import { evaluateOn, evaluationDue, predictWith, type RunContext } from './context.ts';
import { initialModel } from './federated.ts';
import { checkpointStore, freshProgress, type Progress } from './progress.ts';

const METHOD = 'local-only';

type Best = Partial<Record<SplitName, Summary>>;

export interface LocalOnlyResult {
  readonly progress: Progress;
  readonly evaluation: Evaluation;
  /** The best single local model on each split. */
  readonly best: Best;
}

type SplitScores = Readonly<Record<SplitName, readonly QuestionScore[]>>;

/** Sums of scores over local models, per (split, group, question). */
interface ScoreSum {
  readonly group: string;
  readonly question: number;
  alignment: number;
  distanceBase2: number;
  models: number;
}

/** One local model at the rounds that are evaluated. */
interface LocalPoint {
  readonly round: number;
  readonly loss: number | null;
  readonly scores: SplitScores;
}

interface State {
  /** Per evaluated round and split, the sums over the models so far. */
  readonly points: { round: number; losses: number[]; sums: Record<SplitName, ScoreSum[]> }[];
  best: Best;
}

const sumSchema = z.object({
  group: z.string(),
  question: z.int(),
  alignment: z.number(),
  distanceBase2: z.number(),
  models: z.int(),
});
const stateSchema: z.ZodType<State> = z.object({
  points: z.array(
    z.object({
      round: z.int(),
      losses: z.array(z.number()),
      sums: z.record(z.enum(SPLITS), z.array(sumSchema)),
    }),
  ),
  best: summariesSchema,
});

/** Rounds at which curves have a point, 0 included. */
function evaluatedRounds({ experiment }: RunContext): number[] {
  const { rounds } = experiment.config.training;
  return Array.from({ length: rounds + 1 }, (_, round) => round).filter(
    (round) => round === 0 || evaluationDue(experiment, round),
  );
}

/** Trains one group on its own answers alone, with the tasks it has in federated training. */
async function trainAlone(run: RunContext, group: number): Promise<LocalPoint[]> {
  const { experiment, pool } = run;
  const { localSteps, rounds } = experiment.config.training;
  let parameters = initialModel(run).parameters;
  let optimizer: OptimizerSnapshot | null = null;
  let done = 0;
  const points: LocalPoint[] = [];
  for (const round of evaluatedRounds(run)) {
    let loss: number | null = null;
    if (round > done) {
      const result: TrainResult = await pool.run<'train'>({
        kind: 'train',
        parameters,
        group,
        stream: ['group', experiment.survey.groups[group]!.id],
        firstStep: done * localSteps,
        steps: (round - done) * localSteps,
        totalSteps: rounds * localSteps,
        optimizer,
      });
      ({ parameters, optimizer, loss } = result);
      done = round;
    }
    points.push({ round, loss, scores: await scoresAlone(run, group, parameters) });
  }
  return points;
}

/** A local model on its own group and on all unseen groups. */
async function scoresAlone(run: RunContext, group: number, parameters: Float32Array): Promise<SplitScores> {
  const groups = [
    { group, split: 'training' as const },
    ...run.experiment.unseenGroups.map((unseen) => ({ group: unseen, split: 'unseen' as const })),
  ];
  return (await evaluateOn(run, predictWith(run, shareFloats(parameters)), groups)).questionScores;
}

function addScores(sums: ScoreSum[], scores: readonly QuestionScore[]): void {
  const known = new Map(sums.map((sum) => [`${sum.question} ${sum.group}`, sum]));
  for (const { group, question, alignment, distanceBase2 } of scores) {
    const sum = known.get(`${question} ${group}`);
    if (sum === undefined) {
      sums.push({ group, question, alignment, distanceBase2, models: 1 });
      continue;
    }
    sum.alignment += alignment;
    sum.distanceBase2 += distanceBase2;
    sum.models++;
  }
}

function meanScores(sums: readonly ScoreSum[]): QuestionScore[] {
  return sums.map(({ group, question, alignment, distanceBase2, models }) => ({
    group,
    question,
    alignment: alignment / models,
    distanceBase2: distanceBase2 / models,
  }));
}

function addModel(state: State, points: readonly LocalPoint[]): void {
  for (const [index, { round, loss, scores }] of points.entries()) {
    state.points[index] ??= { round, losses: [], sums: { training: [], unseen: [], 'unseen-questions': [] } };
    const point = state.points[index];
    if (loss !== null) point.losses.push(loss);
    for (const split of SPLITS) addScores(point.sums[split], scores[split]);
  }
  state.best = betterOf(state.best, points.at(-1)!.scores);
}

/** The best so far, or this model where it is better. On its own group a model has no rival. */
function betterOf(best: Best, scores: SplitScores): Best {
  const better = { ...best };
  for (const split of ['unseen', 'unseen-questions'] as const) {
    if (scores[split].length === 0) continue;
    const summary = summarise(scores[split]);
    if (summary.mean > (best[split]?.mean ?? Number.NEGATIVE_INFINITY)) better[split] = summary;
  }
  return better;
}

function curveOf(run: RunContext, state: State): Progress['curve'] {
  const { localSteps } = run.experiment.config.training;
  return state.points.map(({ round, losses, sums }) => ({
    round,
    step: round * localSteps,
    loss: losses.length > 0 ? meanOf(losses) : null,
    summaries: pointEvaluation(sums).summaries,
  }));
}

function pointEvaluation(sums: State['points'][number]['sums']): Evaluation {
  return evaluationOf({
    training: meanScores(sums.training),
    unseen: meanScores(sums.unseen),
    'unseen-questions': meanScores(sums['unseen-questions']),
  });
}

/**
 * Every training group trains a predictor of its own, without the others. The scores of unseen groups are means
 * over these predictors; a training group is scored by its own. One model is in memory per worker.
 */
export async function trainLocalOnly(run: RunContext): Promise<LocalOnlyResult> {
  const { experiment, folder, fingerprint, emit, pool } = run;
  const { trainingGroups } = experiment;
  const store = checkpointStore(folder, METHOD, fingerprint, stateSchema);
  const stored = store.load();
  const progress = stored?.progress ?? freshProgress();
  const state: State = stored?.state ?? { points: [], best: {} };
  const rounds = trainingGroups.length;

  emit({
    type: 'begin',
    method: METHOD,
    label: 'local only, by group',
    round: progress.round,
    rounds,
  });
  let started = performance.now();
  await forEachOrdered(
    trainingGroups.slice(progress.round),
    2 * pool.workers,
    (group) => trainAlone(run, group),
    (points) => {
      addModel(state, points);
      progress.round++;
      progress.seconds.train += (performance.now() - started) / 1000;
      started = performance.now();
      emit({ type: 'round', method: METHOD, round: progress.round, rounds, loss: points.at(-1)!.loss! });
      store.save(progress, JSON.parse(JSON.stringify(state)));
    },
  );
  const last = state.points.at(-1);
  invariant(last !== undefined, 'a run has at least one training group');
  progress.curve.splice(0, progress.curve.length, ...curveOf(run, state));
  return { progress, evaluation: pointEvaluation(last.sums), best: state.best };
}
