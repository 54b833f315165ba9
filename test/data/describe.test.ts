import { expect, test } from 'vitest';
import { describeSurvey } from '../../src/data/describe.ts';
import { makeSurvey } from './make-draft.ts';

test('a description counts questions, options, answers and people', () => {
  const description = describeSurvey(makeSurvey());
  expect(description).toMatchObject({
    name: 'small',
    questions: 3,
    groups: 2,
    answers: 5,
    optionCounts: [
      { options: 2, questions: 1 },
      { options: 3, questions: 1 },
      { options: 4, questions: 1 },
    ],
    topics: [
      { topic: 'drinks', questions: 1 },
      { topic: 'mixed', questions: 1 },
    ],
    perGroup: [
      { id: 'north', label: 'The North', questions: 3, respondents: null },
      { id: 'south', label: 'The South', questions: 2, respondents: { fewest: 10, most: 12 } },
    ],
  });
  expect(JSON.parse(JSON.stringify(description))).toEqual(description);
});

test('entropy is in bits: 1 for an even pair, 0 for one voice, log2 of the options for an even spread', () => {
  const where = { file: 'made up' };
  const answers = [
    { question: 'q1', group: 'north', weights: [1, 1], where },
    { question: 'q2', group: 'north', weights: [0, 5, 0, 0], where },
    { question: 'q2', group: 'south', weights: [2, 2, 2, 2], where },
  ];
  const { perGroup, meanEntropyBits } = describeSurvey(makeSurvey({ answers }));
  expect(perGroup.map((group) => group.meanEntropyBits)).toEqual([0.5, 2]);
  expect(meanEntropyBits).toBeCloseTo(1, 12);
});
