import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { answerLookup } from '../../src/data/answer-lookup.ts';
import { chooseContext } from '../../src/evaluate/contexts.ts';
import { type EvaluationPlan, evaluatePredictor } from '../../src/evaluate/evaluate.ts';
import type { Predict, PredictionRequest } from '../../src/predictor/prediction.ts';
import { tinySurvey } from '../support/tiny-survey.ts';

const SURVEY = tinySurvey({ questions: 10, groups: 4 });
const HELD_OUT = [8, 9];
const ANSWER_OF = answerLookup(SURVEY);

const oracle: Predict = async ({ group, targets }) => targets.map((question) => ANSWER_OF(group, question)!);

/** The truth mixed with the uniform distribution: a score strictly between the floor and 1. */
function blurred({ group, targets }: PredictionRequest, mix: number): Float64Array[] {
  return targets.map((question) => {
    const truth = ANSWER_OF(group, question)!;
    return truth.map((share) => (1 - mix) * share + mix / truth.length);
  });
}

/** Wrong by an amount that depends on the context. */
const uneven: Predict = async (request) => blurred(request, 1 / (2 + request.context[0]!));

function planOf(changes: Partial<EvaluationPlan> = {}): EvaluationPlan {
  return {
    survey: SURVEY,
    groups: [
      { group: 2, split: 'training' },
      { group: 0, split: 'unseen' },
      { group: 3, split: 'unseen' },
    ],
    heldOutQuestions: HELD_OUT,
    contextQuestions: 3,
    draws: 4,
    seed: 11,
    predict: oracle,
    ...changes,
  };
}

async function requestsOf(plan: EvaluationPlan): Promise<PredictionRequest[]> {
  const requests: PredictionRequest[] = [];
  await evaluatePredictor({
    ...plan,
    predict: async (request) => {
      requests.push(request);
      return plan.predict(request);
    },
  });
  return requests;
}

describe('evaluatePredictor', () => {
  test('a perfect predictor scores 1 everywhere', async () => {
    const { evaluation } = await evaluatePredictor(planOf());
    expect(Object.keys(evaluation.summaries)).toEqual(['training', 'unseen', 'unseen-questions']);
    for (const summary of Object.values(evaluation.summaries)) {
      expect(summary).toMatchObject({ mean: 1, worst: 1, meanDistanceBase2: 0, fairnessIndex: 1 });
    }
    expect(evaluation.scores.map(({ group, split }) => [group, split])).toEqual([
      ['g2', 'training'],
      ['g0', 'unseen'],
      ['g3', 'unseen'],
      ['g0', 'unseen-questions'],
      ['g3', 'unseen-questions'],
    ]);
  });

  test('held-out questions are never context, and targets of unseen groups only', async () => {
    const requests = await requestsOf(planOf());
    expect(requests).toHaveLength(3 * 4);
    for (const { group, context, targets } of requests) {
      expect(context).toHaveLength(3);
      expect(context.filter((question) => HELD_OUT.includes(question))).toEqual([]);
      const asked = SURVEY.questions.map((_, question) => question);
      const expected = group === 2 ? asked.filter((question) => !HELD_OUT.includes(question)) : asked;
      expect([...context, ...targets].sort((a, b) => a - b)).toEqual(expected);
    }
  });

  test('every question has a score exactly when it was a target in some draw', async () => {
    const { questionScores } = await evaluatePredictor(planOf({ draws: 2 }));
    const answered = [0, 1, 2, 3, 4, 5, 6, 7];
    const contexts = [0, 1].map((draw) =>
      chooseContext({ seed: 11, groupId: 'g0', draw, answered, count: 3 }),
    );
    const targets = answered.filter((question) => contexts.some((context) => !context.includes(question)));
    const scored = questionScores.unseen
      .filter((score) => score.group === 'g0')
      .map((score) => score.question);
    expect(scored).toEqual(targets);
  });

  test('a question score is the mean over the draws in which it was a target', async () => {
    const groups = [{ group: 0, split: 'unseen' }] as const;
    const heldOutScores = async (mixes: readonly number[]) => {
      let call = 0;
      const predict: Predict = async (request) => blurred(request, mixes[call++]!);
      const plan = planOf({ groups, draws: mixes.length, concurrency: 1, predict });
      return (await evaluatePredictor(plan)).questionScores['unseen-questions'].map(
        (score) => score.alignment,
      );
    };
    const [first, second, both] = [
      await heldOutScores([0.2]),
      await heldOutScores([0.6]),
      await heldOutScores([0.2, 0.6]),
    ];
    expect(both).toHaveLength(HELD_OUT.length);
    for (const [i, value] of both.entries()) expect(value).toBeCloseTo((first[i]! + second[i]!) / 2, 12);
  });

  test('the result does not depend on completion order or concurrency', async () => {
    const oneByOne = await evaluatePredictor(planOf({ predict: uneven, concurrency: 1 }));
    const random = randomStream(5, 'delays');
    const shuffled: Predict = async (request) => {
      await sleep(random.below(8));
      return uneven(request);
    };
    for (const concurrency of [2, 7, 50]) {
      expect(await evaluatePredictor(planOf({ predict: shuffled, concurrency }))).toEqual(oneByOne);
    }
  });

  test('without held-out questions there are two splits', async () => {
    const { evaluation, withoutHeldOut } = await evaluatePredictor(planOf({ heldOutQuestions: [] }));
    expect(Object.keys(evaluation.summaries)).toEqual(['training', 'unseen']);
    expect(withoutHeldOut).toEqual([]);
  });

  test('an unseen group that answered no held-out question is named', async () => {
    const survey = tinySurvey({ questions: 10, groups: 4, missing: 0.5, seed: 3 });
    const answeredBy = (group: number) => new Set(survey.answers[group]!.map(({ question }) => question));
    const heldOut = SURVEY.questions
      .map((_, q) => q)
      .filter((q) => !answeredBy(0).has(q) && answeredBy(3).has(q));
    expect(heldOut).not.toEqual([]);
    const lookup = answerLookup(survey);
    const { withoutHeldOut, evaluation } = await evaluatePredictor(
      planOf({
        survey,
        heldOutQuestions: heldOut,
        contextQuestions: 1,
        predict: async ({ group, targets }) => targets.map((question) => lookup(group, question)!),
      }),
    );
    expect(withoutHeldOut).toEqual(['g0']);
    const held = evaluation.scores.filter((score) => score.split === 'unseen-questions');
    expect(held.map((score) => score.group)).toEqual(['g3']);
  });

  test.each([
    ['NaN', 'NOT_FINITE', (truth: Float64Array) => truth.map(() => Number.NaN)],
    ['shares that do not sum to 1', 'NOT_FINITE', (truth: Float64Array) => truth.map((share) => share / 2)],
    ['too few options', 'MODEL_MISMATCH', (truth: Float64Array) => truth.slice(1)],
  ])('%s is an error that names group and question', async (_, code, spoil) => {
    const predict: Predict = async (request) =>
      (await oracle(request)).map((shares, i) =>
        request.targets[i] === 8 ? spoil(Float64Array.from(shares)) : shares,
      );
    await expect(evaluatePredictor(planOf({ predict }))).rejects.toMatchObject({
      code,
      message: expect.stringMatching(/group "g0" on question "q8"/),
    });
  });

  test('a missing prediction is an error', async () => {
    const predict: Predict = async (request) => (await oracle(request)).slice(1);
    await expect(evaluatePredictor(planOf({ predict }))).rejects.toMatchObject({ code: 'MODEL_MISMATCH' });
  });

  test('a context larger than a group allows is an error that names it', async () => {
    await expect(evaluatePredictor(planOf({ contextQuestions: 8 }))).rejects.toMatchObject({
      code: 'DATA_CONTEXT_TOO_LARGE',
      message: expect.stringContaining('"g2"'),
    });
  });
});
