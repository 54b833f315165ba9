import { expect, test } from 'vitest';
import { diloco } from '../../src/strategy/diloco.ts';
import { strategyConformance } from '../conformance/strategy.ts';
import { serverRounds } from '../support/server-rounds.ts';

strategyConformance({ kind: diloco, options: {}, averages: false, firstStep: (mean) => 0.7 * 1.9 * mean });
strategyConformance({
  kind: diloco,
  options: { learningRate: 1, momentum: 0, weighting: 'equal' },
  averages: true,
  firstStep: (mean) => mean,
});

test('it is Nesterov’s momentum: from the point that momentum alone leads to, in the look-ahead form', () => {
  const [rate, mu] = [0.4, 0.8];
  const { start, means, after } = serverRounds(diloco.create({ learningRate: rate, momentum: mu }));
  // Sutskever et al. 2013: theta' = theta + velocity with velocity = mu velocity + eta d at the point that is looked ahead to. That point,
  // theta + mu velocity, is what goes out to the groups.
  for (const [i, from] of start.entries()) {
    let velocity = 0;
    let theta = from;
    for (const [round, mean] of means.entries()) {
      velocity = mu * velocity + rate * mean[i]!;
      theta += velocity;
      expect(after[round]![i]).toBeCloseTo(theta + mu * velocity, 5);
    }
  }
});
