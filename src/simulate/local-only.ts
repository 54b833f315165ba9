import { join } from 'node:path';
import { z } from 'zod';
import { forEachOrdered } from '../core/concurrent.ts';
import { PluralError } from '../core/errors.ts';
import { addBins, emptySplits, type SplitBins } from '../evaluate/calibration.ts';
import { type Evaluated, evaluationOf } from '../evaluate/evaluate.ts';
import { type Evaluation, SPLITS, type SplitName, type Summary } from '../evaluate/evaluation.ts';
import { meanOf, type QuestionScore } from '../evaluate/group-scores.ts';
import { summarise } from '../evaluate/summary.ts';
import { asStorable, readCheckpoint, writeCheckpoint } from '../training/checkpoint.ts';
import { initialModel } from '../training/initial-model.ts';
import type { OptimizerSnapshot, TrainResult } from '../training/jobs.ts';
import { evaluateOn, evaluationDue, predictorFrom, type RunContext } from './context.ts';
import { checkpointStore, freshProgress, type Progress } from './progress.ts';

const METHOD = 'local-only';

type Best = Partial<Record<SplitName, Summary>>;

export interface LocalOnlyResult {
  readonly progress: Progress;
  readonly evaluation: Evaluation;
  /** The best single local model on the splits of unseen groups. */
  readonly best: Best;
}

type SplitScores = Readonly<Record<SplitName, readonly QuestionScore[]>>;

/** One local model after some rounds. */
interface LocalPoint {
  readonly round: number;
  readonly loss: number | null;
  readonly scores: SplitScores;
  readonly calibration: SplitBins;
}

const questionScore = z.object({
  group: z.string(),
  question: z.int(),
  alignment: z.number(),
  distanceBase2: z.number(),
});
const bins = z.object({
  count: z.array(z.number()),
  predicted: z.array(z.number()),
  observed: z.array(z.number()),
});
const modelFile = z.object({
  fingerprint: z.string(),
  group: z.string(),
  seconds: z.number(),
  points: z.array(
    z.object({
      round: z.int(),
      loss: z.number().nullable(),
      scores: z.record(z.enum(SPLITS), z.array(questionScore)),
      calibration: z.record(z.enum(SPLITS), bins),
    }),
  ),
});

/** Each finished model has a file of its own, numbered in the order of the training groups from 1. */
function modelPath(folder: string, model: number): string {
  return join(folder, 'checkpoints', METHOD, `${String(model).padStart(5, '0')}.ckpt`);
}

function readModel(folder: string, model: number, fingerprint: string): z.output<typeof modelFile> | null {
  const path = modelPath(folder, model);
  const content = readCheckpoint(path);
  if (content === null) return null;
  const parsed = modelFile.safeParse(content);
  if (parsed.success && parsed.data.fingerprint === fingerprint) return parsed.data;
  throw new PluralError('CHECKPOINT_MISMATCH', `${path} belongs to other settings or other data`, {
    hint: 'Resume with the configuration and the data that the run was started with.',
  });
}

/** How many local models of a run are finished. */
export function finishedModels(folder: string, fingerprint: string): number {
  let count = 0;
  while (readModel(folder, count + 1, fingerprint) !== null) count++;
  return count;
}

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
  let parameters = initialModel(experiment.predictor, experiment.config.seed).parameters;
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
        keepOptimizer: true,
      });
      ({ parameters, optimizer, loss } = result);
      done = round;
    }
    const { questionScores: scores, calibration } = await evaluateAlone(run, group, parameters);
    points.push({ round, loss, scores, calibration });
  }
  return points;
}

/** A local model on its own group and on all unseen groups. */
function evaluateAlone(run: RunContext, group: number, parameters: Float32Array): Promise<Evaluated> {
  const groups = [
    { group, split: 'training' as const },
    ...run.experiment.unseenGroups.map((unseen) => ({ group: unseen, split: 'unseen' as const })),
  ];
  return evaluateOn(run, predictorFrom(run, parameters), groups);
}

/** Sums of scores over local models, of one (group, question). */
interface ScoreSum {
  readonly score: QuestionScore;
  alignment: number;
  distanceBase2: number;
  models: number;
}

/** Means over local models of the scores at one point, per split, group and question. */
class MeanScores {
  readonly #sums: Record<SplitName, Map<string, ScoreSum>> = {
    training: new Map(),
    unseen: new Map(),
    'unseen-questions': new Map(),
  };

  readonly #calibration = emptySplits();

  add({ scores, calibration }: LocalPoint): void {
    addBins(this.#calibration, calibration);
    for (const split of SPLITS) {
      for (const score of scores[split]) {
        const key = `${score.question} ${score.group}`;
        const sum = this.#sums[split].get(key) ?? { score, alignment: 0, distanceBase2: 0, models: 0 };
        sum.alignment += score.alignment;
        sum.distanceBase2 += score.distanceBase2;
        sum.models++;
        this.#sums[split].set(key, sum);
      }
    }
  }

  evaluation(): Evaluation {
    const means = (split: SplitName) =>
      [...this.#sums[split].values()].map(({ score, alignment, distanceBase2, models }) => ({
        ...score,
        alignment: alignment / models,
        distanceBase2: distanceBase2 / models,
      }));
    return evaluationOf(
      {
        training: means('training'),
        unseen: means('unseen'),
        'unseen-questions': means('unseen-questions'),
      },
      this.#calibration,
    );
  }
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

/** Trains the models that are not yet there, each kept in a file of its own. */
async function trainModels(run: RunContext): Promise<void> {
  const { experiment, folder, fingerprint, emit, pool } = run;
  const { trainingGroups, survey } = experiment;
  const models = trainingGroups.length;
  let done = finishedModels(folder, fingerprint);
  emit({ type: 'begin', method: METHOD, label: 'local only, by group', round: done, rounds: models });
  let started = performance.now();
  await forEachOrdered(
    trainingGroups.slice(done),
    2 * pool.workers,
    (group) => trainAlone(run, group),
    (points, index) => {
      const now = performance.now();
      const group = survey.groups[index]!.id;
      done++;
      emit({ type: 'local-model', group, model: done, models, loss: points.at(-1)!.loss ?? 0 });
      const stored = asStorable(points);
      const seconds = (now - started) / 1000;
      started = now;
      writeCheckpoint(modelPath(folder, done), { fingerprint, group, seconds, points: stored });
    },
  );
}

/**
 * Every training group trains a predictor of its own, without the others. The scores of unseen groups are means
 * over these predictors; a training group is scored by its own. No more than two models per worker are in memory.
 */
export async function trainLocalOnly(run: RunContext): Promise<LocalOnlyResult> {
  const { experiment, folder, fingerprint, emit } = run;
  const { localSteps, rounds } = experiment.config.training;
  const store = checkpointStore(folder, METHOD, fingerprint, z.null());
  const finished = store.load();
  await trainModels(run);

  const progress = freshProgress();
  const means = evaluatedRounds(run).map((round) => ({
    round,
    losses: [] as number[],
    scores: new MeanScores(),
  }));
  let best: Best = {};
  for (let model = 1; model <= experiment.trainingGroups.length; model++) {
    const { points, seconds } = readModel(folder, model, fingerprint)!;
    progress.seconds.train += seconds;
    for (const [index, point] of points.entries()) {
      const { loss } = point;
      means[index]!.scores.add(point);
      if (loss !== null) means[index]!.losses.push(loss);
    }
    best = betterOf(best, points.at(-1)!.scores);
  }
  for (const { round, losses, scores } of means) {
    const { summaries } = scores.evaluation();
    const step = round * localSteps;
    progress.curve.push({ round, step, loss: losses.length > 0 ? meanOf(losses) : null, summaries });
    if (finished === null) emit({ type: 'evaluation', method: METHOD, round, step, summaries });
  }
  progress.round = rounds;
  store.save(progress, null);
  return { progress, evaluation: means.at(-1)!.scores.evaluation(), best };
}
