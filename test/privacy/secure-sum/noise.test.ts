import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { randomStream } from '../../../src/core/random.ts';
import { MOST_RING_BITS, ringBitsOf } from '../../../src/privacy/grid.ts';
import { planGraph } from '../../../src/privacy/mask/graph.ts';
import { MaskedGroup } from '../../../src/privacy/mask/group-part.ts';
import { Heard } from '../../../src/privacy/mask/heard.ts';
import { noiseKey } from '../../../src/privacy/mask/keys.ts';
import { STEP } from '../../../src/privacy/mask/messages.ts';
import { type MaskSettings, maskOptions, maskSettings } from '../../../src/privacy/mask/settings.ts';
import { unknownShares } from '../../../src/privacy/mask/unknown-shares.ts';
import { mask } from '../../../src/privacy/mask.ts';
import type { RoundContext, RunShape } from '../../../src/privacy/protection.ts';
import { SCALAR_WORDS } from '../../../src/privacy/scalars.ts';
import { squaredNorm } from '../../../src/privacy/secure-sum/noise.ts';
import { sumOfWords, updateWords, wordsOf } from '../../../src/privacy/secure-sum/words.ts';
import type { Update } from '../../../src/wire/stages.ts';
import { quorumOf } from '../../../src/wire/step.ts';
import { ROOT } from '../../support/cli.ts';
import {
  contextOf,
  ProtectedRound,
  type RoundOptions,
  SHAPE,
  updateOf,
} from '../../support/protected-round.ts';

const PARAMETERS = 4000;
const GROUPS = 10;
const EQUAL: RunShape = { ...SHAPE, equalWeights: true, mostWeight: 1, parameters: PARAMETERS };
const OPTIONS = {
  mostGroups: GROUPS,
  leastGroups: 7,
  clipNorm: 1,
  differentialPrivacy: { epsilon: 8, delta: 1e-5 },
};

/** All seeds are fixed, so that each statistic is one number; noise exceeds such a bound once in ten thousand. */
const MOST_DEVIATIONS = 3.89;

const settingsOf = (change: object = {}, shape: Partial<RunShape> = {}) =>
  maskSettings(maskOptions.parse({ ...OPTIONS, ...change }), { ...EQUAL, ...shape });

/** The same rounding, with a noise that differs from 0 once in e^512 numbers. */
const quiet = ({ noise, ...others }: MaskSettings): MaskSettings => ({
  ...others,
  noise: { ...noise!, localSigma: 2 ** -5 },
});

const KEY = new Uint8Array(32).fill(9);

/** An update as steps of the grid, without noise. */
function rounded(update: Update, settings: MaskSettings): Int32Array {
  const words = updateWords(update, settings.noise === null ? settings : quiet(settings), KEY);
  return Int32Array.from(words.subarray(SCALAR_WORDS));
}

const lengthOf = (steps: Int32Array) => Math.sqrt(squaredNorm(new Uint32Array(steps.buffer)));

function addTo(sum: Float64Array, values: Int32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += values[i]!;
}

/** Updates as long as 0.3 to 3 clip norms, with scores. */
function updatesOf(count: number, parameters: number, round = 3): Update[] {
  const random = randomStream(count, 'noised updates');
  return Array.from({ length: count }, (_, index) => {
    const length = 0.3 * 10 ** random.uniform();
    const delta = Float32Array.from(
      { length: parameters },
      () => (length * random.normal()) / Math.sqrt(parameters),
    );
    return updateOf(`g${index}`, 1, delta, { round, score: random.uniform() });
  });
}

/** A round that was played, with the noise that its groups added. */
function play(change: Partial<RoundOptions> = {}, secretOf?: (group: string) => Uint8Array) {
  const context: RoundContext = change.context ?? contextOf(PARAMETERS);
  const updates = updatesOf(GROUPS, PARAMETERS, context.round);
  const settings = settingsOf();
  const heard = new Map<string, Heard>();
  const round = new ProtectedRound({
    protection: mask.create(OPTIONS, EQUAL),
    updates,
    join: (setup) => {
      const secret = secretOf?.(setup.group) ?? setup.secret;
      heard.set(setup.group, new Heard(settings, { ...setup, secret }));
      return new MaskedGroup(heard.get(setup.group)!);
    },
    ...change,
    context,
  });
  const aggregate = round.play();
  const noiseOf = (group: string): Int32Array => {
    const { setup } = heard.get(group)!;
    const key = noiseKey(setup.secret, heard.get(group)!.roster());
    const update = updates.find((one) => one.group === group)!;
    const words = updateWords(update, settings, key).subarray(SCALAR_WORDS);
    const clear = rounded(update, settings);
    return Int32Array.from(words, (word, i) => word - clear[i]!);
  };
  const summed = updates.filter(({ group }) => aggregate.groups.includes(group));
  const clear = new Float64Array(PARAMETERS);
  for (const update of summed) addTo(clear, rounded(update, settings));
  const noise = Array.from(aggregate.weightedSum, (sum, i) => sum / settings.grid.step - clear[i]!);
  return { aggregate, updates, summed, settings, round, noise, noiseOf };
}

const meanOf = (values: ArrayLike<number>) =>
  Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
const varianceOf = (values: ArrayLike<number>) => meanOf(Array.from(values, (value) => value ** 2));

/** Correlation of what has mean 0, in deviations of that of unrelated numbers. */
function correlation(one: ArrayLike<number>, other: ArrayLike<number>): number {
  const products = meanOf(Array.from(one, (value, i) => value * other[i]!));
  return (products / Math.sqrt(varianceOf(one) * varianceOf(other))) * Math.sqrt(one.length);
}

describe('the sum of a noised round', () => {
  test.each([
    ['all groups', []],
    ['all but two', ['g1', 'g8']],
  ])('%s: is off by noise of mean 0 and one variance for each group in it', (_, silent) => {
    const silentBefore = new Map([[STEP.upload, silent]]);
    const { aggregate, noise, settings, summed } = play({ silentBefore });
    expect(summed).toHaveLength(GROUPS - silent.length);
    for (const value of noise) expect(Math.abs(value - Math.round(value))).toBeLessThan(1e-6);
    const expected = settings.noise!.localSigma ** 2 * summed.length;
    expect(Math.abs(meanOf(noise))).toBeLessThan(MOST_DEVIATIONS * Math.sqrt(expected / PARAMETERS));
    const bound = MOST_DEVIATIONS * Math.sqrt(2 / PARAMETERS);
    expect(Math.abs(varianceOf(noise) / expected - 1)).toBeLessThan(bound);
    // Noise of one group more or less would show.
    expect(bound).toBeLessThan(1 / GROUPS);
    expect(aggregate.totalWeight).toBe(summed.length);
    expect(aggregate.scores).toBeNull();
  });

  test('is, bit for bit, what the groups rounded and what each of them added', () => {
    const { noise, noiseOf, summed } = play();
    const added = new Float64Array(PARAMETERS);
    for (const { group } of summed) addTo(added, noiseOf(group));
    expect(noise.map(Math.round)).toEqual(Array.from(added));
  });

  test('tells scores where no noise is asked for', () => {
    const protection = mask.create({ mostGroups: GROUPS }, EQUAL);
    const round = new ProtectedRound({
      protection,
      updates: updatesOf(3, 5),
      context: contextOf(5),
    });
    expect(protection.guarantee).toBeNull();
    expect(round.play().scores).toMatchObject({ groups: 3 });
  });
});

describe('the noise of a group', () => {
  const secretOf = (group: string) => new Uint8Array(32).fill(group.charCodeAt(1));
  const one = play({}, secretOf);
  const later = play({ context: contextOf(PARAMETERS, { round: 4 }) }, secretOf);
  const again = play({ context: contextOf(PARAMETERS, { attempt: 2 }) }, secretOf);
  const without = play({ silentBefore: new Map([[STEP.keys, ['g9']]]) }, secretOf);

  test('is unrelated to that of every other group', () => {
    const all = one.updates.map(({ group }) => one.noiseOf(group));
    for (const [i, noise] of all.entries()) {
      for (const other of all.slice(i + 1)) {
        expect(Math.abs(correlation(noise, other))).toBeLessThan(MOST_DEVIATIONS);
      }
    }
  });

  test.each([
    ['in another round', later],
    ['in another attempt', again],
    ['among other groups', without],
  ])('is unrelated to its own %s, were the secret the same', (_, other) => {
    for (const group of ['g0', 'g3', 'g7']) {
      expect(Math.abs(correlation(one.noiseOf(group), other.noiseOf(group)))).toBeLessThan(MOST_DEVIATIONS);
    }
  });

  test('is the same when it answers again, also as a new process: the bytes that it sends are', () => {
    const sent = ({ round }: typeof one) => Buffer.from(round.replies[STEP.upload]!.get('g2')!.payload);
    const update = one.updates.find(({ group }) => group === 'g2')!;
    expect(sent(one).equals(one.round.partOf('g2').answer(STEP.upload, update))).toBe(true);
    expect(sent(one).equals(sent(play({}, secretOf)))).toBe(true);
    expect(sent(one).equals(sent(again))).toBe(false);
  });
});

describe('what noise has to hide', () => {
  /** A grid on which an update of the clip norm is a few steps long, or less than one. */
  function tinySettings(parameters: number, clipSteps: number): MaskSettings {
    return settingsOf({ bits: 8, clipNorm: clipSteps / 127 }, { parameters });
  }

  const SHAPES = {
    even: (parameters: number) => new Array(parameters).fill(1),
    one: (parameters: number) => Array.from({ length: parameters }, (_, i) => Number(i === 0)),
    ramp: (parameters: number) => Array.from({ length: parameters }, (_, i) => i + 1),
    signs: (parameters: number) => Array.from({ length: parameters }, (_, i) => (-1) ** i * (1 + (i % 3))),
  };

  /** An update that is as long as its clip norm, or just above it. */
  function atTheNorm(shape: keyof typeof SHAPES, parameters: number, clipNorm: number, round: number) {
    const values = SHAPES[shape](parameters);
    const length = Math.hypot(...values);
    return updateOf(
      'g0',
      1,
      values.map((value) => (value / length) * clipNorm),
      { round },
    );
  }

  const shapes = fc.constantFrom(...(Object.keys(SHAPES) as (keyof typeof SHAPES)[]));

  test('is never longer than the noise is made for, on the coarsest grids and right at the clip norm', () => {
    let again = 0;
    fc.assert(
      fc.property(
        shapes,
        fc.integer({ min: 1, max: 40 }),
        fc.double({ min: 1e-6, max: 12, noNaN: true }),
        fc.constantFrom(1, 1 + 1e-7, 5),
        fc.nat(1000),
        (shape, parameters, clipSteps, times, round) => {
          const settings = tinySettings(parameters, clipSteps);
          const { mostNorm } = settings.noise!;
          expect(mostNorm).toBeGreaterThanOrEqual(clipSteps);
          expect(mostNorm).toBeLessThanOrEqual(clipSteps + Math.sqrt(parameters));
          const update = atTheNorm(shape, parameters, (clipSteps / 127) * times, round);
          expect(lengthOf(rounded(update, settings))).toBeLessThanOrEqual(mostNorm);
          if (lengthOf(rounded(update, { ...settings, noise: null })) > mostNorm) again++;
        },
      ),
      { numRuns: 2000, seed: 1 },
    );
    expect(again).toBeGreaterThan(10);
  });

  test('is scaled down to the clip norm, in its direction; what is shorter is left alone', () => {
    const settings = settingsOf();
    const { step } = settings.grid;
    for (const update of updatesOf(GROUPS, PARAMETERS)) {
      const length = Math.hypot(...update.delta);
      const scale = Math.min(1, 1 / length);
      const steps = rounded(update, settings);
      expect(lengthOf(steps)).toBeLessThanOrEqual(settings.noise!.mostNorm);
      steps.forEach((value, i) => {
        expect(Math.abs(value * step - update.delta[i]! * scale)).toBeLessThan(step * (1 + 1e-6));
      });
    }
    expect(updatesOf(GROUPS, PARAMETERS).some(({ delta }) => Math.hypot(...delta) > 1)).toBe(true);
  });
});

describe('the ring', () => {
  const runs = fc.record({
    bits: fc.integer({ min: 8, max: 20 }),
    mostGroups: fc.integer({ min: 8, max: 200 }),
    epsilon: fc.double({ min: 0.5, max: 50, noNaN: true }),
    clipNorm: fc.double({ min: 1e-3, max: 0.5, noNaN: true }),
  });
  test('has room for the sum of all groups at the bound, with noise at 8 deviations', () => {
    fc.assert(
      fc.property(runs, ({ epsilon, ...run }) => {
        const change = { ...run, leastGroups: 8, differentialPrivacy: { epsilon } };
        const settings = settingsOf(change, { parameters: 10 });
        const { grid, noise } = settings;
        const deviations = 8 * noise!.localSigma * Math.sqrt(run.mostGroups);
        const largest = run.mostGroups * (2 ** (run.bits - 1) - 1) + Math.floor(deviations);
        const words = new Uint32Array(wordsOf(3, grid));
        // What is above the ring is whatever the masks leave there.
        const above = grid.ringBits === MOST_RING_BITS ? 0 : 2 ** grid.ringBits;
        words.set([largest, -largest, largest + above], SCALAR_WORDS);
        const { weightedSum } = sumOfWords(words, settings);
        expect([...weightedSum]).toEqual([largest, -largest, largest].map((value) => value * grid.step));
      }),
    );
  });

  test('is as large as that takes, and no larger', () => {
    expect(settingsOf().grid.ringBits).toBe(ringBitsOf(16, GROUPS, settingsOf().noise!.localSigma));
    expect(ringBitsOf(16, 128, 0)).toBe(23);
    // 2^22 for the numbers alone; half as much again for the noise.
    expect(ringBitsOf(16, 128, 2 ** 21 / (8 * Math.sqrt(128)))).toBe(24);
    expect(ringBitsOf(16, 100, (2 ** 22 - 100 * 2 ** 15) / 80)).toBe(23);
    expect(ringBitsOf(16, 100, (2 ** 22 - 100 * 2 ** 15) / 80 + 1)).toBe(24);
  });
});

describe('shares of noise that nobody knows', () => {
  const dropoutShare = 1 / 3;

  test.each([
    [3, 0.1, 1],
    [4, 0.1, 2],
    [7, 0.1, 5],
    [10, 0.1, 7],
    [14, 0.1, 11],
    [3, 0.3, 0],
    [14, 0.3, 7],
  ])('at least %d groups of which %d may be corrupt: %d', (leastGroups, corruptShare, shares) => {
    expect(unknownShares(leastGroups, 40, { corruptShare, dropoutShare })).toBe(shares);
  });

  test('are never more than a round of any size has', () => {
    for (const corruptShare of [0.1, 0.2, 0.3]) {
      for (const least of [3, 7, 20, 37, 60]) {
        const shares = unknownShares(least, 300, { corruptShare, dropoutShare });
        for (let groups = least; groups <= 300; groups++) {
          const survivors = Math.max(least, quorumOf(groups));
          const corrupt = Math.ceil(corruptShare * groups - 1e-9);
          expect(shares, `${least} of ${groups}`).toBeLessThanOrEqual(Math.max(0, survivors - corrupt - 1));
        }
      }
    }
  });

  test('are fewer where a sparse graph lets some be left out of the sum', () => {
    const assumed = { corruptShare: 0.1, dropoutShare };
    // At 54 groups 37 survive at the least, 6 of them corrupt, one hidden; the aggregator may leave out 4 more (eigenvalue of the plan).
    expect(planGraph(54, assumed).complete).toBe(false);
    expect(unknownShares(37, 54, assumed)).toBeLessThan(37 - 6 - 1);
    expect(unknownShares(37, 50, assumed)).toBe(37 - 5 - 1);
  });
});

describe('the guarantee', () => {
  test('grows with the rounds, up to the epsilon that was asked for, and nearly there', () => {
    const epsilons = fc.double({ min: 0.1, max: 100, noNaN: true });
    fc.assert(
      fc.property(epsilons, fc.integer({ min: 1, max: 60 }), (epsilon, rounds) => {
        const change = { differentialPrivacy: { epsilon, delta: 1e-6 } };
        const { guarantee } = mask.create({ ...OPTIONS, ...change }, { ...EQUAL, rounds });
        const all = guarantee!.epsilons;
        expect(all).toHaveLength(rounds);
        expect(guarantee).toMatchObject({ rounds, delta: 1e-6, honestSurvivors: 5 });
        for (const [i, value] of all.slice(1).entries()) expect(value).toBeGreaterThan(all[i]!);
        expect(all.at(-1)).toBeLessThanOrEqual(epsilon);
        expect(all.at(-1)).toBeGreaterThan(0.99 * epsilon);
      }),
      { numRuns: 30 },
    );
  });

  test('asks for more noise where fewer groups add some', () => {
    const sigmaOf = (leastGroups: number) => settingsOf({ leastGroups }).noise!.localSigma;
    expect(sigmaOf(7)).toBeGreaterThan(sigmaOf(10));
    // The noise of all unknown shares together is the same.
    expect((sigmaOf(7) / sigmaOf(10)) ** 2).toBeCloseTo(8 / 5, 6);
  });
});

describe('a configuration', () => {
  const NOISED = [
    'protection.differentialPrivacy.epsilon=8',
    'protection.clipNorm=0.5',
    'protection.leastGroups=14',
    'strategy.weighting=equal',
  ];
  const configOf = (...overrides: string[]) => loadConfig(join(ROOT, 'configs/gpo.yaml'), overrides);

  test('with noise is accepted where the group that is hidden has a bound, and a weight like all others', () => {
    expect(configOf(...NOISED).protection).toMatchObject({
      name: 'mask',
      leastGroups: 14,
      differentialPrivacy: { epsilon: 8, delta: 1e-5 },
    });
    expect(configOf().protection).toMatchObject({ differentialPrivacy: null });
  });

  test.each([
    ['no clip norm', [NOISED[0], NOISED[2], NOISED[3]], 'CONFIG_CONFLICT', 'bound', 'protection.clipNorm'],
    ['weights by answers', NOISED.slice(0, 3), 'CONFIG_CONFLICT', 'weights', 'strategy.weighting=equal'],
    [
      'too few groups for noise that nobody knows',
      [...NOISED, 'protection.leastGroups=3', 'protection.corruptShare=0.3'],
      'CONFIG_CONFLICT',
      'too few groups for noise that nobody knows',
      'Raise protection.leastGroups',
    ],
    [
      'no room for noise in the ring',
      [...NOISED, 'protection.bits=24', 'protection.mostGroups=256', 'protection.clipNorm=0.0002'],
      'CONFIG_CONFLICT',
      'needs 33 bits and would overflow 32',
      'Lower protection.bits or mostGroups',
    ],
    [
      'an epsilon that no noise reaches',
      [...NOISED, 'protection.differentialPrivacy.epsilon=0.001'],
      'CONFIG_CONFLICT',
      'no noise that fits the grid keeps 40 rounds within epsilon 0.001 at delta 0.00001',
      'Allow a larger epsilon',
    ],
    [
      'fewer groups than share the noise',
      [...NOISED, 'protection.leastGroups=3'],
      'CONFIG_CONFLICT',
      'no noise that fits the grid',
      'protection.leastGroups',
    ],
    [
      'no epsilon',
      [...NOISED, 'protection.differentialPrivacy.epsilon=0'],
      'CONFIG_INVALID',
      'protection.differentialPrivacy.epsilon: ',
      'Correct the value',
    ],
    [
      'a delta that promises nothing',
      [...NOISED, 'protection.differentialPrivacy.delta=0.2'],
      'CONFIG_INVALID',
      'protection.differentialPrivacy.delta: ',
      'Correct the value',
    ],
    [
      'a key that noise does not have',
      [...NOISED, 'protection.differentialPrivacy.epsilons=8'],
      'CONFIG_UNKNOWN_KEY',
      'protection.differentialPrivacy.epsilons',
      'epsilon',
    ],
  ])('with %s is refused, with what to change', (_, overrides, code, message, hint) => {
    expect(() => configOf(...(overrides as string[]))).toThrow(
      expect.objectContaining({
        code,
        message: expect.stringContaining(message),
        hint: expect.stringContaining(hint),
      }),
    );
  });
});
