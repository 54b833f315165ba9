import { describe, expect, test } from 'vitest';
import { gridOf } from '../../../src/privacy/grid.ts';
import { MaskedGroup } from '../../../src/privacy/mask/group-part.ts';
import { Heard } from '../../../src/privacy/mask/heard.ts';
import { STEP } from '../../../src/privacy/mask/messages.ts';
import type { Roster } from '../../../src/privacy/mask/roster.ts';
import { maskOptions, maskSettings } from '../../../src/privacy/mask/settings.ts';
import { mask } from '../../../src/privacy/mask.ts';
import type { GroupSetup } from '../../../src/privacy/protection.ts';
import { EVERY_CASE, LONG_TESTS } from '../../support/deployment.ts';
import { chosenFrom, expectExact, updatesOf } from '../../support/exact-rounds.ts';
import { contextOf, playRound, SHAPE, updateOf } from '../../support/protected-round.ts';

const STEPS = Object.entries(STEP);

/** All groups of a test are shown the same keys: that they are checked well is the subject of other tests. */
class SharedRoster extends Heard {
  static known = new Map<string, Roster>();

  override readRoster(): Roster {
    const { model, run, round } = this.setup.context;
    const key = JSON.stringify([model, run, round]);
    const known = SharedRoster.known.get(key) ?? super.readRoster();
    SharedRoster.known.set(key, known);
    return known;
  }
}

/** Plays a round in which a share of the groups falls silent before a step. */
function play(count: number, parameters: number, share: number, step: number, bits = 16) {
  const options = maskOptions.parse({ bits, mostGroups: Math.max(3, count) });
  const settings = maskSettings(options, SHAPE);
  const updates = updatesOf(count, parameters);
  const silent = chosenFrom(updates, share, step);
  const protection = mask.create(options, SHAPE);
  const silentBefore = new Map([[step, silent]]);
  const many = count > 100;
  const join = (setup: GroupSetup) => new MaskedGroup(new SharedRoster(settings, setup));
  const context = contextOf(parameters, { run: `${count}/${share}/${step}/${bits}` });
  const aggregate = playRound({
    protection,
    updates,
    context,
    silentBefore,
    ...(many ? { join, screens: false } : {}),
  });
  const summed = step <= STEP.upload ? updates.filter(({ group }) => !silent.includes(group)) : updates;
  return { aggregate, summed, settings };
}

describe.each([
  [3, 50],
  [10, 50],
  [100, 20],
])('%d groups', (count, parameters) => {
  test('without dropouts the sum is that of the quantised updates, bit for bit', () => {
    const { aggregate, summed, settings } = play(count, parameters, 0, STEP.keys);
    expectExact(aggregate, summed, settings);
  });

  // Of a hundred groups, where each case takes seconds, a tenth is silent only where every case is played.
  const shares = count < 100 || EVERY_CASE ? [0.1, 0.3] : [0.3];
  test.each(STEPS.flatMap(([name, step]) => shares.map((share) => [share * 100, name, step] as const)))(
    '%d percent silent from step %s on: the sum of the others, bit for bit',
    (percent, _name, step) => {
      const { aggregate, summed, settings } = play(count, parameters, percent / 100, step);
      expectExact(aggregate, summed, settings);
    },
  );
});

test.each([4, 5, 7])(
  'of %d bits, with more words for weights and scores: that of the others, bit for bit',
  (bits) => {
    for (const [share, step] of [
      [0, STEP.keys],
      [0.3, STEP.upload],
      [0.3, STEP.unmask],
    ] as const) {
      const { aggregate, summed, settings } = play(10, 50, share, step, bits);
      expect(settings.grid.ringBits).toBe(bits + 4);
      expectExact(aggregate, summed, settings);
    }
  },
);

/** In each run of the tests so many that no byte counts them, at one step; a thousand, which takes minutes each, where every case is played. */
const MANY: readonly (readonly [
  groups: number,
  percent: number,
  name: string,
  step: (typeof STEPS)[number][1],
])[] = EVERY_CASE
  ? [
      [1000, 0, 'keys', STEP.keys] as const,
      ...STEPS.flatMap(([name, step]) => [10, 30].map((share) => [1000, share, name, step] as const)),
    ]
  : [[300, 30, 'upload', STEP.upload] as const];

describe.skipIf(LONG_TESTS.skip)(`many groups${LONG_TESTS.why}`, () => {
  test.each(MANY)(
    '%d groups, %d percent silent from step %s on: the sum of the others, bit for bit',
    (count, percent, _name, step) => {
      const { aggregate, summed, settings } = play(count, 4, percent / 100, step);
      expectExact(aggregate, summed, settings);
    },
    600_000,
  );
});

describe('too many dropouts', () => {
  const parameters = 8;
  const options = maskOptions.parse({});
  const protection = mask.create(options, SHAPE);
  const updates = updatesOf(10, parameters);

  test.each(STEPS.filter(([, step]) => step > 0 && step < STEP.unmask))(
    'before step %s the round fails before anything is opened',
    (_name, step) => {
      const silentBefore = new Map([[step, chosenFrom(updates, 0.4, 1)]]);
      expect(() => playRound({ protection, updates, context: contextOf(parameters), silentBefore })).toThrow(
        /round 3: 6 of 7 needed updates came in time/,
      );
    },
  );

  test('before keys, so that fewer than the least are left', () => {
    const silentBefore = new Map([[STEP.keys, updates.slice(2).map(({ group }) => group)]]);
    expect(() => playRound({ protection, updates, context: contextOf(parameters), silentBefore })).toThrow(
      /2 of 3 needed/,
    );
  });

  test('before unmask: the step waits for two thirds of those who sent keys, and the sum stays closed', () => {
    const silent = (count: number) =>
      new Map([[STEP.unmask, updates.slice(-count).map(({ group }) => group)]]);
    const round = (count: number) =>
      playRound({ protection, updates, context: contextOf(parameters), silentBefore: silent(count) });
    expect(() => round(4)).toThrow(/waits for more than 6 replies/);
    expect(round(3).groups).toHaveLength(10);
  });
});

describe('the ring', () => {
  test('holds the sum of as many groups as it is made for, all at the bound', () => {
    const protections = [4, 8].map((bits) =>
      mask.create(maskOptions.parse({ mostGroups: 5, bits, clipValue: 1 }), SHAPE),
    );
    for (const [sign, protection] of [1, -1].flatMap((side) =>
      protections.map((of) => [side, of] as const),
    )) {
      const updates = Array.from({ length: 5 }, (_, index) =>
        updateOf(`g${index}`, 100, [sign * 9, 0, sign], { score: 1 }),
      );
      const { weightedSum, totalWeight, scores } = playRound({ protection, updates, context: contextOf(3) });
      expect(weightedSum[0]).toBeCloseTo(500 * sign, 9);
      expect(weightedSum[2]).toBeCloseTo(500 * sign, 9);
      expect(totalWeight).toBe(500);
      expect(scores).toEqual({ groups: 5, sum: 5, sumOfSquares: 5 });
    }
  });

  test('that would overflow is refused when the options are parsed', () => {
    const parsed = maskOptions.safeParse({ bits: 24, mostGroups: 300 });
    expect(parsed.error?.issues[0]?.message).toMatch(/needs 33 bits and would overflow 32/);
    expect(maskOptions.safeParse({ bits: 24, mostGroups: 256 }).success).toBe(true);
    expect(gridOf({ bits: 24, mostGroups: 256, clipValue: 1, clipNorm: null, mostWeight: 1 }).ringBits).toBe(
      32,
    );
  });
});
