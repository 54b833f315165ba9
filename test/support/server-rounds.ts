import { asStage } from '../../src/core/brand.ts';
import { randomStream } from '../../src/core/random.ts';
import type { Strategy } from '../../src/strategy/strategy.ts';
import { makeModel } from '../../src/wire/model.ts';

/** Some rounds of random updates of two groups, and the parameters after each of them. */
export interface ServerRounds {
  /** Weighted mean of the updates of each round. */
  readonly means: readonly (readonly number[])[];
  readonly start: readonly number[];
  /** Parameters after each round. */
  readonly after: readonly (readonly number[])[];
}

/** Plays rounds of a strategy from a random model, on updates of about the size that local training makes. */
export function serverRounds(
  strategy: Strategy,
  { rounds = 12, parameters = 5, seed = 0 } = {},
): ServerRounds {
  const random = randomStream(seed, 'server-rounds');
  const start = Float32Array.from({ length: parameters }, () => random.normal());
  let model = makeModel(0, start);
  let state = strategy.initialState();
  const means: number[][] = [];
  const after: number[][] = [];
  for (let round = 1; round <= rounds; round++) {
    const [a, b] = [1 + random.below(40), 1 + random.below(40)];
    const deltas = [a, b].map(() => Array.from({ length: parameters }, () => 2e-3 * random.normal()));
    const sum = deltas[0]!.map((value, i) => a * value + b * deltas[1]![i]!);
    const aggregate = { round, weightedSum: Float64Array.from(sum), totalWeight: a + b };
    const next = strategy.next(model, asStage({ ...aggregate, scores: null, groups: ['a', 'b'] }), state);
    ({ model, state } = next);
    means.push(sum.map((value) => value / (a + b)));
    after.push([...model.parameters]);
  }
  return { means, start: [...start], after };
}
