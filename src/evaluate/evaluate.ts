import { asStage } from '../core/brand.ts';
import { mapOrdered } from '../core/concurrent.ts';
import { checkShares } from '../core/divergence.ts';
import { invariant, PluralError } from '../core/errors.ts';
import { type AnswerLookup, answerLookup } from '../data/answer-lookup.ts';
import type { Survey } from '../data/survey.ts';
import type { Predict, PredictionRequest } from '../predictor/prediction.ts';
import { alignmentScore, jensenShannonDistance } from './alignment.ts';
import { addBins, addPrediction, calibrationError, emptySplits, type SplitBins } from './calibration.ts';
import { chooseContext } from './contexts.ts';
import { type Evaluation, SPLITS, type SplitName } from './evaluation.ts';
import { groupScores, meanOf, type QuestionScore, scoresBy } from './group-scores.ts';
import { summarise } from './summary.ts';

/** Requests under way at once where nothing else is said. */
const DEFAULT_CONCURRENCY = 8;

/** A group to evaluate: one that trained or one never seen. */
export interface EvaluatedGroup {
  /** Index into `Survey.groups`. */
  readonly group: number;
  readonly split: 'training' | 'unseen';
}

/** What to evaluate and how. */
export interface EvaluationPlan {
  readonly survey: Survey;
  readonly groups: readonly EvaluatedGroup[];
  /** Indices of questions that were kept out of training: never context, targets of unseen groups only. */
  readonly heldOutQuestions: readonly number[];
  /** Number of questions whose answers each group tells. */
  readonly contextQuestions: number;
  /** Number of context choices per group; scores are means over them. */
  readonly draws: number;
  readonly seed: number;
  readonly predict: Predict;
  /** Requests under way at once; does not change the result. Default 8. */
  readonly concurrency?: number;
}

/** An evaluation with the scores it is made of. */
export interface Evaluated {
  readonly evaluation: Evaluation;
  /** One score per (group, question), groups in the plan's order, questions ascending. */
  readonly questionScores: Readonly<Record<SplitName, readonly QuestionScore[]>>;
  /** How large shares were predicted, and how large they were. */
  readonly calibration: SplitBins;
  /** Unseen groups that answered none of the held-out questions, so have no `unseen-questions` score. */
  readonly withoutHeldOut: readonly string[];
}

interface SplitScore extends QuestionScore {
  readonly split: SplitName;
}

function requestsOf(plan: EvaluationPlan, heldOut: ReadonlySet<number>): PredictionRequest[] {
  const { survey, seed, contextQuestions: count } = plan;
  return plan.groups.flatMap(({ group, split }) => {
    const answered = survey.answers[group]!.map(({ question }) => question);
    const usable = answered.filter((question) => !heldOut.has(question));
    const groupId = survey.groups[group]!.id;
    return Array.from({ length: plan.draws }, (_, draw) => {
      const context = chooseContext({ seed, groupId, draw, answered: usable, count });
      const told = new Set(context);
      const targets = (split === 'unseen' ? answered : usable).filter((question) => !told.has(question));
      return { group, context, targets };
    });
  });
}

/** Errors: MODEL_MISMATCH for a wrong shape, NOT_FINITE for numbers that are not a distribution. */
function scoreOf(
  survey: Survey,
  group: number,
  question: number,
  predicted: Float64Array | Float32Array | undefined,
  truth: Float64Array,
): QuestionScore {
  const groupId = survey.groups[group]!.id;
  const what = `the prediction for group "${groupId}" on question "${survey.questions[question]!.id}"`;
  if (predicted?.length !== truth.length) {
    const found = predicted?.length ?? 'no';
    throw new PluralError('MODEL_MISMATCH', `${what} has ${found} shares for ${truth.length} options`, {
      hint: 'The predictor was made for another survey.',
    });
  }
  checkShares(predicted, what);
  const distanceBase2 = jensenShannonDistance(predicted, truth, { base: 2 });
  return { group: groupId, question, alignment: alignmentScore(predicted, truth), distanceBase2 };
}

interface Scored {
  readonly scores: QuestionScore[];
  readonly calibration: SplitBins;
}

async function scoreRequest(
  plan: EvaluationPlan,
  request: PredictionRequest,
  answers: AnswerLookup,
  splitOf: (group: number, question: number) => SplitName,
): Promise<Scored> {
  const { group, targets } = request;
  const predictions = await plan.predict(request);
  const calibration = emptySplits();
  const scores = targets.map((question, i) => {
    const truth = answers(group, question)!;
    const score = scoreOf(plan.survey, group, question, predictions[i], truth);
    addPrediction(calibration[splitOf(group, question)], predictions[i]!, truth);
    return score;
  });
  return { scores, calibration };
}

/** One score per question: the mean over the draws in which it was a target; questions ascending. */
function overDraws(scores: readonly QuestionScore[]): QuestionScore[] {
  const means = [...scoresBy(scores, ({ question }) => question).values()].map((own) => ({
    ...own[0]!,
    alignment: meanOf(own.map((score) => score.alignment)),
    distanceBase2: meanOf(own.map((score) => score.distanceBase2)),
  }));
  return means.sort((a, b) => a.question - b.question);
}

function withSplit(
  plan: EvaluationPlan,
  scores: readonly QuestionScore[],
  splitOf: (group: number, question: number) => SplitName,
): SplitScore[] {
  const byGroup = scoresBy(scores, ({ group }) => group);
  return plan.groups.flatMap(({ group }) =>
    overDraws(byGroup.get(plan.survey.groups[group]!.id) ?? []).map((score) => ({
      ...score,
      split: splitOf(group, score.question),
    })),
  );
}

/** Scores and summaries from one score per (group, question), with the calibration of the same predictions. */
export function evaluationOf(
  bySplit: Readonly<Record<SplitName, readonly QuestionScore[]>>,
  calibration: SplitBins,
): Evaluation {
  const present = SPLITS.filter((split) => bySplit[split].length > 0);
  const summaryOf = (split: SplitName) => {
    const error = calibrationError(calibration[split]);
    return { ...summarise(bySplit[split]), ...(error === undefined ? {} : { calibrationError: error }) };
  };
  return asStage({
    scores: present.flatMap((split) => groupScores(bySplit[split], split)),
    summaries: Object.fromEntries(present.map((split) => [split, summaryOf(split)])),
  });
}

/**
 * Scores a predictor: each group tells the answers to some context questions, the rest of its answers is predicted.
 *
 * Training and unseen groups are scored on their questions that were not held out; unseen groups also, as the split
 * `unseen-questions` and from the same contexts, on those held out.
 * Errors: DATA_CONTEXT_TOO_LARGE, MODEL_MISMATCH, NOT_FINITE, and those of the predictor.
 */
export async function evaluatePredictor(plan: EvaluationPlan): Promise<Evaluated> {
  const { survey, groups, concurrency = DEFAULT_CONCURRENCY } = plan;
  invariant(new Set(groups.map(({ group }) => group)).size === groups.length, 'a group evaluated twice');
  invariant(plan.draws >= 1 && concurrency >= 1, 'an evaluation of nothing');
  const heldOut = new Set(plan.heldOutQuestions);
  const answers = answerLookup(survey);
  const requests = requestsOf(plan, heldOut);
  const planned = new Map(groups.map(({ group, split }) => [group, split]));
  const splitOf = (group: number, question: number) =>
    heldOut.has(question) ? 'unseen-questions' : planned.get(group)!;
  const drawn = await mapOrdered(requests, concurrency, (request) =>
    scoreRequest(plan, request, answers, splitOf),
  );
  const calibration = emptySplits();
  for (const request of drawn) addBins(calibration, request.calibration);
  const scores = withSplit(
    plan,
    drawn.flatMap((request) => request.scores),
    splitOf,
  );
  const scoresIn = (split: SplitName) =>
    scores.filter((score) => score.split === split).map(({ split: _, ...score }) => score);
  const questionScores = {
    training: scoresIn('training'),
    unseen: scoresIn('unseen'),
    'unseen-questions': scoresIn('unseen-questions'),
  };
  const scored = new Set(questionScores['unseen-questions'].map(({ group }) => group));
  const unseen = groups
    .filter(({ split }) => split === 'unseen')
    .map(({ group }) => survey.groups[group]!.id);
  return {
    evaluation: evaluationOf(questionScores, calibration),
    questionScores,
    calibration,
    withoutHeldOut: heldOut.size === 0 ? [] : unseen.filter((id) => !scored.has(id)),
  };
}
