import { expect, test } from 'vitest';
import { fedavg } from '../../src/strategy/fedavg.ts';
import { fedprox } from '../../src/strategy/fedprox.ts';
import { strategyConformance } from '../conformance/strategy.ts';

strategyConformance({ kind: fedprox, options: {}, averages: true, firstStep: (mean) => mean });
strategyConformance({
  kind: fedprox,
  options: { proximal: 2, weighting: 'equal' },
  averages: true,
  firstStep: (mean) => mean,
});

test('it asks local training for its term, which others do not', () => {
  expect(fedprox.create({}).local).toEqual({ proximal: 0.01 });
  expect(fedprox.create({ proximal: 2 }).local).toEqual({ proximal: 2 });
  expect(fedavg.create({}).local).toEqual({ proximal: 0 });
  expect(fedprox.options.safeParse({ proximal: 0 }).success).toBe(false);
});
