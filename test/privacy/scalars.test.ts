import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { gridOf, MOST_RING_BITS } from '../../src/privacy/grid.ts';
import { readScalars, SCALAR_WORDS, scalarWords, writeScalars } from '../../src/privacy/scalars.ts';
import { updateOf } from '../support/protected-round.ts';

interface Member {
  readonly weight: number;
  readonly score: number | null;
}

const gridWith = (bits: number, mostGroups: number, mostWeight: number) =>
  gridOf({ bits, mostGroups, clipValue: 1, clipNorm: null, mostWeight });
type Grid = ReturnType<typeof gridWith>;

function wordsOf({ weight, score }: Member, grid: Grid): Uint32Array {
  const words = new Uint32Array(scalarWords(grid) + 2).fill(5);
  writeScalars(updateOf('g', weight, [], { score }), grid, words);
  return words;
}

/** What is read from the sum of what groups write, with anything above the ring. */
function summed(members: readonly Member[], grid: Grid, above = 0) {
  const sum = new Uint32Array(scalarWords(grid));
  for (const member of members) {
    const words = wordsOf(member, grid);
    for (let i = 0; i < sum.length; i++) sum[i]! += words[i]!;
  }
  if (grid.ringBits < MOST_RING_BITS) for (let i = 0; i < sum.length; i++) sum[i]! += above << grid.ringBits;
  return readScalars(sum, grid);
}

const score = fc.option(fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true })));
const above = fc.integer({ min: 0, max: 2 ** 32 - 1 });

/** A grid and as many groups as it has room for, at most; their weights as `weightOf` draws them. */
const rounds = (weightOf: (most: number) => fc.Arbitrary<number>, mostWeight: fc.Arbitrary<number>) =>
  fc
    .record({
      bits: fc.integer({ min: 4, max: 24 }),
      mostGroups: fc.integer({ min: 1, max: 64 }),
      mostWeight,
    })
    .chain(({ bits, mostGroups, mostWeight: most }) =>
      fc.record({
        grid: fc.constant(gridWith(bits, mostGroups, most)),
        members: fc.array(fc.record({ weight: weightOf(most), score }), {
          minLength: 1,
          maxLength: mostGroups,
          size: 'max',
        }),
        above,
      }),
    );

describe('the numbers beside the delta', () => {
  test('whole weights add up exactly, as do the groups that told a score (property)', () => {
    const whole = rounds((most) => fc.integer({ min: 1, max: most }), fc.integer({ min: 1, max: 10_000 }));
    fc.assert(
      fc.property(whole, ({ grid, members, above: over }) => {
        const { totalWeight, scores } = summed(members, grid, over);
        expect(totalWeight).toBe(members.reduce((sum, { weight }) => sum + weight, 0));
        const told = members.filter((member) => member.score !== null);
        if (told.length === 0) expect(scores).toBeNull();
        else expect(scores?.groups).toBe(told.length);
      }),
      { numRuns: 300 },
    );
  });

  test('others are off by half a unit for each group at most (property)', () => {
    const any = rounds(
      (most) => fc.double({ min: most / 1000, max: most, noNaN: true }),
      fc.double({ min: 0.5, max: 1e6, noNaN: true }),
    );
    fc.assert(
      fc.property(any, ({ grid, members, above: over }) => {
        const { totalWeight, scores } = summed(members, grid, over);
        // Twice the digits of a number of the delta, without its sign; with few bits as many words as 14 digits take.
        const digits = Math.max(2, Math.ceil(14 / (grid.bits - 1))) * (grid.bits - 1);
        const total = (of: (member: Member) => number) =>
          members.reduce((sum, member) => sum + of(member), 0);
        const weightUnit = 2 * grid.mostWeight * 2 ** -digits;
        const rounding = 1e-9 * members.length;
        expect(Math.abs(totalWeight - total(({ weight }) => weight))).toBeLessThanOrEqual(
          members.length * (weightUnit / 2) + rounding * grid.mostWeight,
        );
        if (scores === null) {
          expect(members.every((member) => member.score === null)).toBe(true);
          return;
        }
        const off = scores.groups * 2 ** -digits + rounding;
        expect(Math.abs(scores.sum - total((member) => member.score ?? 0))).toBeLessThanOrEqual(off);
        const squares = total((member) => (member.score ?? 0) ** 2);
        expect(Math.abs(scores.sumOfSquares - squares)).toBeLessThanOrEqual(off);
      }),
      { numRuns: 300 },
    );
  });

  test('with the largest weight and score of as many groups as there is room for', () => {
    for (const [bits, groups, weight] of [
      [4, 65_536, 4095],
      [6, 3, 1000],
      [8, 128, 100],
      [16, 65_536, 64],
      [24, 256, 4095],
    ] as const) {
      const members = Array.from({ length: groups }, () => ({ weight, score: 1 }));
      expect(summed(members, gridWith(bits, groups, weight))).toEqual({
        totalWeight: weight * groups,
        scores: { groups, sum: groups, sumOfSquares: groups },
      });
    }
  });

  test('a score of 0 is told, and none is not', () => {
    const grid = gridWith(16, 8, 10);
    expect(summed([{ weight: 1, score: 0 }], grid).scores).toEqual({ groups: 1, sum: 0, sumOfSquares: 0 });
    expect(summed([{ weight: 1, score: null }], grid).scores).toBeNull();
  });

  test('stand before the delta, and leave it alone', () => {
    expect(SCALAR_WORDS).toBe(8);
    const each = [4, 5, 6, 7, 8, 9, 16, 24].map((bits) => scalarWords({ bits }) / 4);
    expect(each).toEqual([5, 4, 3, 3, 2, 2, 2, 2]);
    expect([...wordsOf({ weight: 3, score: 0.5 }, gridWith(16, 8, 10)).slice(SCALAR_WORDS)]).toEqual([5, 5]);
  });

  test('from 8 bits on each is two words, the higher digits first', () => {
    const [weight, ...rest] = [1234, 1, 0.5, 0.25];
    const grid = gridWith(8, 8, 2000);
    const digits = (number: number) => [Math.floor(number / 2 ** 7), number % 2 ** 7];
    // The unit of a weight is the power of two above the largest, of 14 digits.
    const words = [weight! / 2 ** (11 - 14), rest[0]!, rest[1]! * 2 ** 13, rest[2]! * 2 ** 13].flatMap(
      digits,
    );
    expect([...wordsOf({ weight: weight!, score: 0.5 }, grid).slice(0, SCALAR_WORDS)]).toEqual(words);
  });

  test.each<[string, Member]>([
    ['a weight above the largest power', { weight: 16, score: null }],
    ['a negative weight', { weight: -1, score: null }],
    ['a weight of NaN', { weight: Number.NaN, score: null }],
    ['a score of 2', { weight: 1, score: 2 }],
    ['a negative score', { weight: 1, score: -0.1 }],
    ['a score of NaN', { weight: 1, score: Number.NaN }],
  ])('%s is a fault', (_, member) => {
    expect(() => wordsOf(member, gridWith(16, 8, 10))).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });
});
