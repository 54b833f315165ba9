import { afterAll, describe, expect, test } from 'vitest';
import { setupOf } from '../../src/simulate/experiment.ts';
import { STRATEGIES } from '../../src/strategy/table.ts';
import { initialModel } from '../../src/training/initial-model.ts';
import { startPool } from '../../src/training/pool.ts';
import { temporaryFolder } from '../support/cli.ts';
import { tinyExperiment, trainTiny } from '../support/tiny-experiment.ts';

const folder = temporaryFolder();

/** Settings under which a strategy differs enough from federated averaging to be told from the grid's rounding. */
const SETTINGS: Readonly<Record<string, readonly string[]>> = {
  fedprox: ['strategy.proximal=5'],
  qfedavg: ['strategy.q=3'],
};

/** A grid so fine that rounding is small beside what strategies do, and so wide that it cuts nothing. */
const FINE_MASK = ['protection={ name: mask, bits: 24, mostGroups: 8, clipValue: 0.2 }'];
const IN_CLEAR = ['protection=none'];

const experimentOf = (strategy: string, protection: readonly string[]) =>
  tinyExperiment(4, `strategy={ name: ${strategy} }`, ...(SETTINGS[strategy] ?? []), ...protection);

const played = new Map<string, Promise<Float32Array>>();

/** Parameters after the last round of a small run; the same run is played once. */
function parametersOf(strategy: string, protection: readonly string[]): Promise<Float32Array> {
  const name = `${strategy} ${protection}`;
  const run =
    played.get(name) ??
    trainTiny(experimentOf(strategy, protection), { folder, pool }).then(({ model }) => model.parameters);
  played.set(name, run);
  return run;
}

/** Not the largest difference: where a gradient is all but 0, the least rounding turns a step of the local Adam around. */
const distance = (a: Float32Array, b: Float32Array) => Math.hypot(...a.map((value, i) => value - b[i]!));

const { predictor, config } = tinyExperiment(4);
// No strategy changes what workers are started with.
const pool = startPool(setupOf(tinyExperiment(4)), 1);
afterAll(() => pool.close());
const start = initialModel(predictor, config.seed).parameters;

describe.each(STRATEGIES.map(({ name }) => name))('strategy %s', (strategy) => {
  test('gives under mask the model that it gives in clear, but for the rounding of the grid', async () => {
    const masked = await parametersOf(strategy, FINE_MASK);
    const clear = await parametersOf(strategy, IN_CLEAR);
    expect(masked).not.toEqual(clear);
    expect(distance(masked, clear)).toBeLessThan(distance(clear, start) / 1000);
  });

  test.skipIf(strategy === 'fedavg')('makes another model than federated averaging', async () => {
    const own = await parametersOf(strategy, IN_CLEAR);
    const averaged = await parametersOf('fedavg', IN_CLEAR);
    expect(distance(own, averaged)).toBeGreaterThan(distance(averaged, start) / 200);
  });
});

describe('rounds that ask some of the groups', () => {
  const some = (...overrides: readonly string[]) =>
    trainTiny(tinyExperiment(6, ...overrides), { folder, pool: six });
  const six = startPool(setupOf(tinyExperiment(6)), 1);
  afterAll(() => six.close());

  test('send as much less, and make another model', async () => {
    const [all, half] = [await some(...IN_CLEAR), await some(...IN_CLEAR, 'round.participation=0.5')];
    expect(half.traffic.uploaded).toBe(all.traffic.uploaded / 2);
    expect(half.traffic.downloaded).toBe(all.traffic.downloaded / 2);
    expect(half.model.digest).not.toBe(all.model.digest);
  });

  test('make under mask the model that they make in clear, but for the rounding of the grid', async () => {
    const half = ['round.participation=0.5', 'strategy=diloco'];
    const clear = (await some(...IN_CLEAR, ...half)).model.parameters;
    const masked = (await some(...FINE_MASK, ...half)).model.parameters;
    expect(distance(masked, clear)).toBeLessThan(distance(clear, start) / 1000);
  });
});
