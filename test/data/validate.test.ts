import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normalised } from '../../src/data/normalise.ts';
import { validateSurvey } from '../../src/data/validate.ts';
import { errorOf, makeDraft } from './make-draft.ts';

const where = { file: 'votes.csv', row: 12, column: 'weight' };
const draft = makeDraft();

describe('validateSurvey', () => {
  test('sorts answers by question and normalises them', () => {
    const { survey, warnings } = validateSurvey(draft);
    expect(warnings).toEqual([]);
    expect(survey.answers.map((own) => own.map(({ question }) => question))).toEqual([
      [0, 1, 2],
      [0, 2],
    ]);
    expect([...survey.answers[0]![2]!.distribution]).toEqual([1 / 7, 2 / 7, 4 / 7]);
    expect(survey.answers[0]![2]!.respondents).toBe(7);
    expect(survey.answers[0]![0]).not.toHaveProperty('respondents');
  });

  test.each([
    [
      'too few weights',
      [1],
      'DATA_OPTION_COUNT',
      /votes\.csv, row 12, column "weight": 1 weight.*has 2 options/,
    ],
    [
      'a negative weight',
      [1, -1],
      'DATA_BAD_WEIGHT',
      /row 12, column "weight": weight 2 of group "south".* is -1/,
    ],
    ['NaN', [Number.NaN, 1], 'DATA_BAD_WEIGHT', /row 12.*weight 1 .* is NaN/],
    ['an infinite weight', [1, Number.POSITIVE_INFINITY], 'DATA_BAD_WEIGHT', /is Infinity/],
    ['a sum that overflows', [Number.MAX_VALUE, Number.MAX_VALUE], 'DATA_BAD_WEIGHT', /sum of the weights/],
  ] as const)('refuses %s', async (_, weights, code, message) => {
    const answers = [
      ...draft.answers.filter(({ where: { row } }) => row !== 8),
      { question: 'q1', group: 'south', weights, where },
    ];
    const error = await errorOf(() => validateSurvey(makeDraft({ answers })));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test('refuses a count of respondents that is no count', async () => {
    const answers = [{ question: 'q1', group: 'north', weights: [1, 1], respondents: -4, where }];
    const error = await errorOf(() => validateSurvey(makeDraft({ answers })));
    expect(error.code).toBe('DATA_BAD_WEIGHT');
    expect(error.message).toMatch(/respondents .* is -4/);
  });

  test('refuses a pair that is there twice, an unknown group and an unknown question', async () => {
    const withAnswer = (question: string, group: string) =>
      makeDraft({ answers: [...draft.answers, { question, group, weights: [1, 1], where }] });
    const twice = await errorOf(() => validateSurvey(withAnswer('q1', 'north')));
    expect([twice.code, twice.message]).toEqual(['DATA_DUPLICATE', expect.stringContaining('row 12')]);
    const unknown = await errorOf(() => validateSurvey(withAnswer('q1', 'nort')));
    expect([unknown.code, unknown.hint]).toEqual(['DATA_UNKNOWN_GROUP', 'Did you mean "north"?']);
    const question = await errorOf(() => validateSurvey(withAnswer('q9', 'north')));
    expect([question.code, question.message]).toEqual(['DATA_FORMAT', expect.stringContaining('"q9"')]);
  });

  test('refuses a group without a usable answer', async () => {
    const answers = draft.answers.map((answer) =>
      answer.group === 'south' ? { ...answer, weights: Array.from(answer.weights, () => 0) } : answer,
    );
    const error = await errorOf(() => validateSurvey(makeDraft({ answers })));
    expect([error.code, error.message]).toEqual(['DATA_EMPTY_GROUP', expect.stringContaining('south')]);
  });

  test.each([
    ['one option', ['tea'], 'DATA_OPTION_COUNT'],
    ['a blank option', ['tea', ' '], 'DATA_FORMAT'],
    ['the same option twice', ['tea', 'tea'], 'DATA_DUPLICATE'],
  ] as const)('refuses a question with %s', async (_, options, code) => {
    const questions = [{ ...draft.questions[0]!, options }, ...draft.questions.slice(1)];
    const error = await errorOf(() => validateSurvey(makeDraft({ questions })));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining('votes.csv, row 2')]);
  });

  test('refuses ids that are there twice', async () => {
    const questions = [...draft.questions, draft.questions[0]!];
    expect((await errorOf(() => validateSurvey(makeDraft({ questions })))).code).toBe('DATA_DUPLICATE');
    const groups = [...draft.groups, draft.groups[0]!];
    expect((await errorOf(() => validateSurvey(makeDraft({ groups })))).code).toBe('DATA_DUPLICATE');
  });

  test('counts what it leaves out or repairs, and says where the first one was', () => {
    const blank = {
      id: 'q4',
      text: ' ',
      options: [],
      where: { file: 'votes.csv', row: 30, column: 'question' },
    };
    const lonely = { id: 'q5', text: 'Anyone?', options: ['a', 'b'], where };
    const { survey, warnings } = validateSurvey(
      makeDraft({
        weights: 'shares',
        questions: [blank, lonely, ...draft.questions],
        answers: [
          { question: 'q4', group: 'north', weights: [], where },
          { question: 'q1', group: 'north', weights: [0, 0], where },
          { question: 'q1', group: 'south', weights: [0.5, 0.4], where },
          { question: 'q2', group: 'south', weights: [0.25, 0.25, 0.25, 0.24], where },
          { question: 'q3', group: 'north', weights: [1, 0, 0], where },
          { question: 'q3', group: 'south', weights: [4, 5, 6], where },
        ],
      }),
    );
    expect(warnings.map(({ code, count }) => [code, count])).toEqual([
      ['question-without-text', 1],
      ['answer-all-zero', 1],
      ['shares-renormalised', 2],
      ['question-without-answers', 1],
    ]);
    expect(warnings[0]!.message).toContain('votes.csv, row 30, column "question"');
    expect(survey.questions.map(({ id }) => id)).toEqual(['q1', 'q2', 'q3']);
    expect(survey.answers.map((own) => own.map(({ question }) => question))).toEqual([[2], [0, 1, 2]]);
  });
});

describe('normalised', () => {
  const weight = fc.double({ min: 0, max: 1e300, noNaN: true });

  test('gives shares that sum to 1, keep the order of size, and do not change when normalised again', () => {
    fc.assert(
      fc.property(fc.array(weight, { minLength: 2, maxLength: 18 }), (weights) => {
        const { distribution, fault } = normalised(weights, 'counts');
        if (distribution === undefined) {
          expect(fault === 'zero' ? weights.every((w) => w === 0) : fault).toBe(
            fault === 'zero' ? true : 'overflow',
          );
          return;
        }
        expect(distribution.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
        expect(distribution.every((share) => share >= 0)).toBe(true);
        expect(distribution.indexOf(Math.max(...distribution))).toBe(weights.indexOf(Math.max(...weights)));
        expect(normalised(distribution, 'shares')).toEqual({ distribution });
      }),
    );
  });

  test('takes half a percent per option for rounding', () => {
    expect(normalised([0.33, 0.33, 0.33], 'shares').fault).toBeUndefined();
    expect(normalised([0.33, 0.33, 0.32], 'shares').fault).toBe('sum');
    expect(normalised([33, 33, 32], 'counts').fault).toBeUndefined();
  });
});
