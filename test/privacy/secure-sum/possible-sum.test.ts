import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asStage } from '../../../src/core/brand.ts';
import { sealOptions, sealSettings } from '../../../src/privacy/seal/settings.ts';
import { isPossibleSum } from '../../../src/privacy/secure-sum/possible-sum.ts';
import { sumOfWords, updateWords } from '../../../src/privacy/secure-sum/words.ts';
import { makeUpdate } from '../../../src/training/make-update.ts';
import type { Aggregate, Update } from '../../../src/wire/stages.ts';
import { SHAPE, updateOf } from '../../support/protected-round.ts';
import { keyOf } from '../seal/helpers.ts';

/** What groups that do as they should can have sent, and what not. */

const PARAMETERS = SHAPE.parameters;
const NOISE = { leastGroups: 7, clipValue: 0.15, clipNorm: 1, differentialPrivacy: { epsilon: 8 } };
const EQUAL = { ...SHAPE, equalWeights: true, mostWeight: 1 };
const COMMITTEE = { members: ['t0', 't1'], threshold: 2, trustees: true };

const HONEST = { leastWeight: 1, counted: null };

const settingsWith = (options: object, shape = SHAPE) => sealSettings(sealOptions.parse(options), shape);

function sumOf(updates: readonly Update[], settings: ReturnType<typeof settingsWith>): Aggregate {
  const [first, ...others] = updates.map((update) => updateWords(update, settings, keyOf(update.group)));
  for (const words of others) for (let i = 0; i < words.length; i++) first![i]! += words[i]!;
  return asStage({ round: 3, groups: updates.map(({ group }) => group), ...sumOfWords(first!, settings) });
}

/** Groups whose every number is as far out as their clip lets it be, or farther. */
const extreme = (count: number, weight: number, sign: number) =>
  Array.from({ length: count }, (_, i) =>
    updateOf(`g${i}`, weight, new Float32Array(PARAMETERS).fill(sign * 1.5)),
  );

describe('a sum of groups at their limits is possible', () => {
  test.each([8, 16, 24])(
    'of %d bits, for the least weight, the largest, and one that is no whole number',
    (bits) => {
      const settings = settingsWith({ bits, mostGroups: 8 });
      for (const weight of [1, 33.3, SHAPE.mostWeight]) {
        for (const sign of [1, -1]) {
          for (const count of [1, 3, 8]) {
            const aggregate = sumOf(extreme(count, weight, sign), settings);
            expect(isPossibleSum(settings, aggregate, HONEST), `${weight}, ${sign}, ${count}`).toBe(true);
          }
        }
      }
    },
  );

  test('with trustees, who have no weight', () => {
    const settings = settingsWith({ mostGroups: 8, committee: COMMITTEE });
    const zeros = COMMITTEE.members.map((name) => updateOf(name, 0, new Float32Array(PARAMETERS)));
    const sum = sumOf([...extreme(3, 1, 1), ...zeros], settings);
    expect(isPossibleSum(settings, sum, HONEST, COMMITTEE.members)).toBe(true);
    expect(isPossibleSum(settings, sum, HONEST)).toBe(false);
  });

  test('with noise, which is larger than any update', () => {
    const settings = settingsWith({ mostGroups: 8, ...NOISE }, EQUAL);
    const aggregate = sumOf(extreme(8, 1, 1), settings);
    const largest = Math.max(...aggregate.weightedSum.map(Math.abs));
    expect(largest).toBeGreaterThan(1.1 * settings.grid.clipValue * aggregate.totalWeight);
    expect(isPossibleSum(settings, aggregate, HONEST)).toBe(true);
  });
});

describe('a sum is not possible', () => {
  const settings = settingsWith({ mostGroups: 8 });
  const { step, clipValue } = settings.grid;
  const honest = sumOf(extreme(4, 10, 1), settings);
  const possible = (change: Partial<Aggregate>) =>
    isPossibleSum(settings, asStage({ ...honest, ...change }), HONEST);
  const withNumber = (at: number, value: number) => honest.weightedSum.with(at, value);

  test.each([0, 2 ** -23, 3.9, 400.1, 2 ** 20])('with a total weight of %d of four groups', (totalWeight) => {
    const weightedSum = new Float64Array(PARAMETERS);
    expect(possible({ totalWeight, weightedSum })).toBe(false);
    expect(possible({ totalWeight: 4, weightedSum })).toBe(true);
    expect(possible({ totalWeight: 400, weightedSum })).toBe(true);
  });

  test.each([0, 7, PARAMETERS - 1])('with number %d beyond the clip', (at) => {
    const bound = clipValue * honest.totalWeight;
    for (const sign of [1, -1]) {
      expect(possible({ weightedSum: withNumber(at, sign * (bound + 7 * step)) })).toBe(false);
      expect(possible({ weightedSum: withNumber(at, sign * bound) })).toBe(true);
    }
  });

  test('with other weights than equal ones, where all are equal', () => {
    const equal = settingsWith({ mostGroups: 8 }, EQUAL);
    const sum = sumOf(extreme(4, 1, 1), equal);
    expect(isPossibleSum(equal, sum, HONEST)).toBe(true);
    for (const totalWeight of [3, 5]) {
      expect(isPossibleSum(equal, asStage({ ...sum, totalWeight }), HONEST)).toBe(false);
    }
  });
});

describe('counted rows', () => {
  const counted = {
    offset: PARAMETERS - 4,
    rows: 4,
    tensors: [{ offset: 3, width: 2 }],
    least: 1,
  };
  const CLIP = 0.3;
  const member = fc.record({
    touches: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    sign: fc.constantFrom(1, -1),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  const members = fc.array(member, { minLength: 1, maxLength: 8 });

  test('of honest groups, each at its limit, are possible, whatever weights and bits (property)', () => {
    fc.assert(
      fc.property(
        members,
        fc.integer({ min: 8, max: 24 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        fc.nat(),
        (all, bits, least, seed) => {
          const leastWeight = least * SHAPE.mostWeight;
          const shape = { ...SHAPE, seed };
          const settings = settingsWith({ bits, mostGroups: 8, clipValue: CLIP }, shape);
          const updates = all.map(({ touches, sign, share }, index) =>
            makeUpdate({
              group: `g${index}`,
              round: 3,
              weight: leastWeight + share * (SHAPE.mostWeight - leastWeight),
              received: new Float32Array(PARAMETERS),
              trained: new Float32Array(PARAMETERS).fill(sign),
              score: null,
              rows: { counted, touched: (row) => touches[row]!, unit: CLIP },
            }),
          );
          const sum = sumOf(updates, settings);
          expect(isPossibleSum(settings, sum, { leastWeight, counted })).toBe(true);
        },
      ),
    );
  });

  test('of equal weights are bounded by the clip of the groups that touched them, and a step each', () => {
    const settings = settingsWith({ bits: 8, mostGroups: 8, clipValue: CLIP }, EQUAL);
    const { step } = settings.grid;
    const honest = { leastWeight: 1, counted };
    const sumWith = (count: number, value: number): Aggregate => {
      const weightedSum = new Float64Array(PARAMETERS);
      weightedSum[counted.offset + 1] = count * CLIP;
      weightedSum[3 + 2] = value;
      const groups = Array.from({ length: 8 }, (_, i) => `g${i}`);
      return asStage({ round: 3, groups, weightedSum, totalWeight: 8, scores: null });
    };
    for (const count of [0, 1, 3, 8]) {
      const most = count * CLIP;
      for (const sign of [1, -1]) {
        expect(isPossibleSum(settings, sumWith(count, sign * most), honest)).toBe(true);
        expect(isPossibleSum(settings, sumWith(count, sign * (most + (count + 2) * step)), honest)).toBe(
          false,
        );
      }
    }
    // Less than nobody is nobody.
    expect(isPossibleSum(settings, sumWith(-1, 0), honest)).toBe(true);
    expect(isPossibleSum(settings, sumWith(-1, 2 * step), honest)).toBe(false);
    // What is no number is none that groups send.
    expect(isPossibleSum(settings, sumWith(1, Number.NaN), honest)).toBe(false);
  });
});
