import { expect, test } from 'vitest';
import { fedopt } from '../../src/strategy/fedopt.ts';
import { strategyConformance } from '../conformance/strategy.ts';
import { serverRounds } from '../support/server-rounds.ts';

const ADAM = { optimizer: 'adam', learningRate: 0.05, beta1: 0.8, beta2: 0.95, tau: 0.02 } as const;
const YOGI = { ...ADAM, optimizer: 'yogi' } as const;
const MOMENTUM = { optimizer: 'momentum', learningRate: 0.5, beta1: 0.7 } as const;

/** One parameter after each round by algorithm 2 of Reddi et al., in float64. */
function byAlgorithm2(
  start: number,
  means: readonly number[],
  { optimizer, ...options }: typeof ADAM | typeof YOGI,
) {
  const { learningRate, beta1, beta2, tau } = options;
  let [x, m, v] = [start, 0, tau ** 2];
  return means.map((delta) => {
    m = beta1 * m + (1 - beta1) * delta;
    const square = delta ** 2;
    if (optimizer === 'adam') v = beta2 * v + (1 - beta2) * square;
    else v += v > square ? -(1 - beta2) * square : (1 - beta2) * square;
    x += (learningRate * m) / (Math.sqrt(v) + tau);
    return x;
  });
}

const first = (options: typeof ADAM | typeof YOGI) => (mean: number) => byAlgorithm2(0, [mean], options)[0]!;

strategyConformance({ kind: fedopt, options: ADAM, averages: false, firstStep: first(ADAM) });
strategyConformance({ kind: fedopt, options: YOGI, averages: false, firstStep: first(YOGI) });
strategyConformance({
  kind: fedopt,
  options: MOMENTUM,
  averages: false,
  firstStep: (mean) => 0.5 * mean,
});

test.each([ADAM, YOGI])('$optimizer goes as algorithm 2 says, over rounds', (options) => {
  // A tau of the size of the updates, so that both moments matter.
  const settings = { ...options, tau: 1e-3 };
  const { start, means, after } = serverRounds(fedopt.create(settings));
  for (const [i, from] of start.entries()) {
    const own = means.map((mean) => mean[i]!);
    const expected = byAlgorithm2(from, own, settings as typeof options);
    for (const [round, value] of expected.entries()) expect(after[round]![i]).toBeCloseTo(value, 5);
  }
});

test('Adam and Yogi differ where an update is larger than those before it', () => {
  const [adam, yogi] = [ADAM, YOGI].map(
    (options) => serverRounds(fedopt.create({ ...options, tau: 1e-4 })).after.at(-1)!,
  );
  expect(adam).not.toEqual(yogi);
});

test('momentum adds up the updates, each round a little less of those before', () => {
  const { start, means, after } = serverRounds(fedopt.create(MOMENTUM));
  for (const [i, from] of start.entries()) {
    let velocity = 0;
    let x = from;
    for (const [round, mean] of means.entries()) {
      velocity = 0.7 * velocity + mean[i]!;
      x += 0.5 * velocity;
      expect(after[round]![i]).toBeCloseTo(x, 5);
    }
  }
});

test('momentum with nothing remembered and a rate of 1 is federated averaging', () => {
  const { start, means, after } = serverRounds(fedopt.create({ optimizer: 'momentum', beta1: 0 }), {
    rounds: 1,
  });
  expect(after[0]).toEqual(start.map((value, i) => Math.fround(value + Math.fround(means[0]![i]!))));
});

test('what momentum does not have is refused', () => {
  const parsed = fedopt.options.safeParse({ optimizer: 'momentum', tau: 0.1 });
  expect(parsed.error?.issues[0]?.message).toContain('neither beta2 nor tau');
  expect(fedopt.options.safeParse({ beta1: 1 }).success).toBe(false);
});
