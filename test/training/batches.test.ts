import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import { featureOf } from '../../src/features/features.ts';
import { batchOf, sampleTask, type TaskSize } from '../../src/training/batches.ts';
import { answeredQuestions, shareData } from '../../src/training/shared-data.ts';
import { featuresOf } from '../support/random-batch.ts';
import { tinySurvey } from '../support/tiny-survey.ts';
import { tinyFeatures } from '../support/tiny-training.ts';

const range = fc
  .tuple(fc.integer({ min: 1, max: 30 }), fc.nat(20))
  .map(([min, more]): [number, number] => [min, min + more]);
const sizes = fc.record<TaskSize>({ contextQuestions: range, targetQuestions: range });
const questionSets = fc.uniqueArray(fc.nat(500), { minLength: 2, maxLength: 60, size: 'max' });

describe('sampleTask', () => {
  test('context and target are disjoint questions of the group, as many as asked or as there are (property)', () => {
    fc.assert(
      fc.property(fc.nat(), questionSets, sizes, (seed, questions, size) => {
        const { context, target } = sampleTask(randomStream(seed), questions, size);
        const drawn = [...context, ...target];
        expect(new Set(drawn).size).toBe(drawn.length);
        expect(drawn.every((question) => questions.includes(question))).toBe(true);
        const within = (count: number, [min, max]: readonly [number, number], limit: number) => {
          expect(count).toBeGreaterThanOrEqual(Math.min(min, limit));
          expect(count).toBeLessThanOrEqual(Math.min(max, limit));
          expect(count).toBeGreaterThanOrEqual(1);
        };
        within(context.length, size.contextQuestions, questions.length - 1);
        within(target.length, size.targetQuestions, questions.length - context.length);
      }),
    );
  });

  test('every number of the range is drawn, and every question', () => {
    const questions = Array.from({ length: 12 }, (_, i) => i * 3);
    const size: TaskSize = { contextQuestions: [2, 5], targetQuestions: [1, 3] };
    const random = randomStream(3, 'tasks');
    const tasks = Array.from({ length: 300 }, () => sampleTask(random, questions, size));
    expect([...new Set(tasks.map(({ context }) => context.length))].sort()).toEqual([2, 3, 4, 5]);
    expect([...new Set(tasks.map(({ target }) => target.length))].sort()).toEqual([1, 2, 3]);
    expect(new Set(tasks.flatMap(({ context }) => context)).size).toBe(12);
    expect(new Set(tasks.flatMap(({ target }) => target)).size).toBe(12);
  });

  test('is a function of its stream', () => {
    const draw = () =>
      sampleTask(randomStream(4, 'a'), [1, 2, 3, 4, 5], {
        contextQuestions: [1, 3],
        targetQuestions: [1, 3],
      });
    expect(draw()).toEqual(draw());
  });

  test('one question is too few', () => {
    expect(() =>
      sampleTask(randomStream(0), [1], { contextQuestions: [1, 1], targetQuestions: [1, 1] }),
    ).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });
});

describe('shareData and batchOf', () => {
  const survey = tinySurvey({ questions: 9, groups: 4, missing: 0.4, seed: 3 });
  const features = tinyFeatures(survey);
  const data = shareData(survey, features);

  test('everything is in shared memory', () => {
    for (const value of Object.values(data)) {
      if (typeof value !== 'number') expect(value.buffer).toBeInstanceOf(SharedArrayBuffer);
    }
    expect(data.width).toBe(features.width);
    expect(Float32Array.from(data.features)).toEqual(features.rows);
    expect(Int32Array.from(data.rowOf)).toEqual(features.offsets);
  });

  test('each group has the questions that it answered', () => {
    for (const [group, answers] of survey.answers.entries()) {
      expect([...answeredQuestions(data, group)]).toEqual(answers.map(({ question }) => question));
    }
    const unanswered = survey.answers.flatMap((answers) => survey.questions.length - answers.length);
    expect(Math.max(...unanswered)).toBeGreaterThan(0);
  });

  test('a batch holds features and shares of the survey, question by question', () => {
    for (const [group, answers] of survey.answers.entries()) {
      const [context, target] = [
        [4, 0, 7],
        [8, 2],
      ];
      const batch = batchOf(data, group, { context, target });
      expect(batch.width).toBe(features.width);
      for (const [points, questions] of [
        [batch.context, context],
        [batch.target, target],
      ] as const) {
        const options = questions.flatMap((question) =>
          survey.questions[question]!.options.map((_, option) => ({ question, option })),
        );
        const shareOf = (question: number, option: number) =>
          answers.find((answer) => answer.question === question)?.distribution[option] ?? 0;
        expect([...points.questions]).toEqual(options.map(({ question }) => question));
        expect([...points.probabilities]).toEqual(
          options.map(({ question, option }) => Math.fround(shareOf(question, option))),
        );
        expect([...featuresOf(batch, points)]).toEqual(
          options.flatMap(({ question, option }) => [...featureOf(features, question, option)]),
        );
      }
    }
  });
});
