import { expect, test } from 'vitest';
import { fedavg } from '../../src/strategy/fedavg.ts';
import { STRATEGIES } from '../../src/strategy/table.ts';
import { strategyConformance } from '../conformance/strategy.ts';

strategyConformance({ kind: fedavg, options: {}, averages: true, firstStep: (mean) => mean });
strategyConformance({
  kind: fedavg,
  options: { weighting: 'equal' },
  averages: true,
  firstStep: (mean) => mean,
});

test('it is in the table, once', () => {
  expect(STRATEGIES.filter(({ name }) => name === 'fedavg')).toEqual([fedavg]);
});

test('a group counts by its questions, or once', () => {
  const weights = (options: object) =>
    [1, 7].map((questions) => fedavg.create(options).weightOf({ questions, score: null }));
  expect(weights({})).toEqual([1, 7]);
  expect(weights({ weighting: 'questions' })).toEqual([1, 7]);
  expect(weights({ weighting: 'equal' })).toEqual([1, 1]);
  expect(fedavg.options.safeParse({ weighting: 'points' }).success).toBe(false);
});

test('it remembers nothing', () => {
  expect(fedavg.create({}).initialState()).toBeNull();
});
