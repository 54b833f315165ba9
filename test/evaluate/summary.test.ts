import { describe, expect, test } from 'vitest';
import { groupScores, type QuestionScore } from '../../src/evaluate/group-scores.ts';
import { coefficientOfVariation, summarise } from '../../src/evaluate/summary.ts';

function score(group: string, question: number, alignment: number): QuestionScore {
  return { group, question, alignment, distanceBase2: (1 - alignment) / Math.sqrt(Math.LN2) };
}

// Group a: mean 0.7 over two questions. Group b: mean 0.5 over one.
const SCORES = [score('a', 0, 0.6), score('a', 1, 0.8), score('b', 0, 0.5)];

describe('summarise', () => {
  test('means over groups and over questions differ where groups differ in size', () => {
    const summary = summarise(SCORES);
    expect(summary.mean).toBeCloseTo((0.7 + 0.5) / 2, 12);
    expect(summary.meanOverQuestions).toBeCloseTo((0.6 + 0.8 + 0.5) / 3, 12);
    expect(summary.worst).toBe(0.5);
    expect(summary.meanDistanceBase2).toBeCloseTo(0.4 / Math.sqrt(Math.LN2), 12);
  });

  test('the fairness index is that of the groups means', () => {
    const { coefficientOfVariation: variation, fairnessIndex } = summarise(SCORES);
    // Deviation 0.1 around the mean 0.6.
    expect(variation).toBeCloseTo(1 / 6, 12);
    expect(fairnessIndex).toBeCloseTo(36 / 37, 12);
  });

  test('question fairness counts questions that at least two groups were scored on', () => {
    // Question 0: scores 0.6 and 0.5, deviation 0.05 around 0.55; question 1 was scored for group a only.
    expect(summarise(SCORES).questionFairness).toBeCloseTo(1 / (1 + 0.05 / 0.55), 12);
    expect(summarise([score('a', 0, 0.6)]).questionFairness).toBe(1);
  });

  test('equal groups are perfectly fair', () => {
    const summary = summarise([score('a', 0, 0.75), score('b', 0, 0.75), score('c', 0, 0.75)]);
    expect(summary).toMatchObject({
      coefficientOfVariation: 0,
      fairnessIndex: 1,
      questionFairness: 1,
      mean: 0.75,
    });
  });

  test('a score that is not a number is an error that names group and question', () => {
    expect(() => summarise([score('a', 0, 0.6), score('Kenya', 7, Number.NaN)])).toThrowError(
      expect.objectContaining({ code: 'NOT_FINITE', message: expect.stringMatching(/"Kenya".*7/) }),
    );
  });

  test('there is no summary of nothing', () => {
    expect(() => summarise([])).toThrowError(expect.objectContaining({ code: 'INTERNAL' }));
  });
});

test('groupScores keeps the order of groups and counts questions', () => {
  const scores = groupScores([score('b', 0, 0.5), score('a', 0, 0.6), score('b', 3, 0.7)], 'training');
  expect(scores.map(({ group, split, questions }) => [group, split, questions])).toEqual([
    ['b', 'training', 2],
    ['a', 'training', 1],
  ]);
  expect(scores[0]!.alignment).toBeCloseTo(0.6, 12);
});

test('the coefficient of variation does not change with scale', () => {
  expect(coefficientOfVariation([1, 2, 3])).toBeCloseTo(coefficientOfVariation([10, 20, 30]), 12);
  expect(coefficientOfVariation([4])).toBe(0);
});
