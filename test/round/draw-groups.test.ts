import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drawGroups } from '../../src/round/draw-groups.ts';
import { drawnOf } from '../../src/wire/participation.ts';

const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 30 });
const share = fc.double({ min: 0.01, max: 1, noNaN: true });

const draw = (
  enrolled: readonly string[],
  { seed = 1, of = 0.5, quorum = 1, round = 1 } = {},
): readonly string[] =>
  drawGroups({ participation: { seed, share: of, begin: 1 }, quorum, enrolled: [...enrolled].sort() }, round);

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `g${i}`);

describe('how many groups a round asks', () => {
  test.each([
    [0.5, 10, 1, 5],
    [0.5, 11, 1, 6],
    [0.01, 10, 1, 1],
    [0.1, 10, 3, 3],
    [0.1, 2, 3, 2],
    [1, 7, 1, 7],
    [0.55, 100, 1, 55],
    [0.07, 100, 1, 7],
  ])('a share of %d of %d groups, at least %d, is %d', (of, groups, least, expected) => {
    expect(drawnOf(of, groups, least)).toBe(expected);
  });

  test('is the share rounded up, for shares that are decimals (property)', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 1, max: 500 }),
        (thousandths, groups) => {
          // In whole numbers, where nothing is rounded before it is rounded up.
          const exact = Math.floor((thousandths * groups + 999) / 1000);
          expect(drawnOf(thousandths / 1000, groups, 1)).toBe(exact);
        },
      ),
    );
  });
});

describe('the draw', () => {
  test('is of enrolled groups, each once, as many as the share says, in code-unit order (property)', () => {
    fc.assert(
      fc.property(names, share, fc.integer({ min: 1, max: 8 }), fc.nat(), (enrolled, of, quorum, seed) => {
        const drawn = draw(enrolled, { of, quorum, seed });
        expect(new Set(drawn).size).toBe(drawnOf(of, enrolled.length, quorum));
        expect(drawn.every((group) => enrolled.includes(group))).toBe(true);
        expect(drawn).toEqual([...drawn].sort());
      }),
    );
  });

  test('is all of them where nothing is drawn', () => {
    expect(drawGroups({ participation: null, quorum: 1, enrolled: ['a', 'b', 'c'] }, 4)).toEqual([
      'a',
      'b',
      'c',
    ]);
    expect(draw(numbered(9), { of: 1 })).toEqual(numbered(9));
  });

  test('is the same again, and another one with another seed or round', () => {
    const groups = numbered(40);
    expect(draw(groups)).toEqual(draw([...groups].reverse()));
    expect(draw(groups)).not.toEqual(draw(groups, { seed: 2 }));
    expect(draw(groups)).not.toEqual(draw(groups, { round: 2 }));
  });

  test('when a group leaves, only its place is drawn anew (property)', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat({ max: 19 }), (seed, who) => {
        const groups = numbered(20);
        // At least ten: the share of nineteen is as many as that of twenty.
        const before = draw(groups, { seed, quorum: 10 });
        const left = groups.filter((_, i) => i !== who);
        const after = draw(left, { seed, quorum: 10 });
        const kept = before.filter((group) => group !== `g${who}`);
        expect(after.filter((group) => kept.includes(group))).toEqual(kept);
        expect(after).toHaveLength(10);
      }),
    );
  });

  test('asks every group, and every pair of groups, about as often as any other', () => {
    const rounds = 4000;
    const groups = numbered(6);
    const alone = new Map<string, number>();
    const together = new Map<string, number>();
    const count = (of: Map<string, number>, key: string) => of.set(key, (of.get(key) ?? 0) + 1);
    for (let round = 1; round <= rounds; round++) {
      const drawn = draw(groups, { round });
      for (const [i, group] of drawn.entries()) {
        count(alone, group);
        for (const other of drawn.slice(i + 1)) count(together, `${group} ${other}`);
      }
    }
    const deviations = (found: number, chance: number) =>
      Math.abs(found - rounds * chance) / Math.sqrt(rounds * chance * (1 - chance));
    // Three of six: each is in half of the rounds, each pair in a fifth.
    expect(alone.size).toBe(6);
    expect(together.size).toBe(15);
    for (const found of alone.values()) expect(deviations(found, 1 / 2)).toBeLessThan(4.5);
    for (const found of together.values()) expect(deviations(found, 1 / 5)).toBeLessThan(4.5);
  });
});
