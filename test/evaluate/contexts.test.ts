import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chooseContext } from '../../src/evaluate/contexts.ts';

const ANSWERED = [2, 3, 5, 7, 11, 13, 17, 19];
const CHOICE = { seed: 1, groupId: 'Kenya', draw: 0, answered: ANSWERED, count: 4 };

describe('chooseContext', () => {
  test('chooses that many distinct answered questions, ascending', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.string(),
        fc.nat(50),
        fc.integer({ min: 0, max: 7 }),
        (seed, groupId, draw, count) => {
          const context = chooseContext({ seed, groupId, draw, answered: ANSWERED, count });
          expect(context).toHaveLength(count);
          expect(ANSWERED).toEqual(expect.arrayContaining(context));
          expect(context).toEqual([...new Set(context)].sort((a, b) => a - b));
        },
      ),
    );
  });

  test('is a function of its input', () => {
    expect(chooseContext(CHOICE)).toEqual(chooseContext({ ...CHOICE }));
  });

  test.each([
    ['seed', { seed: 2 }],
    ['groupId', { groupId: 'Peru' }],
    ['draw', { draw: 1 }],
  ])('another %s gives other contexts', (_, other) => {
    // One choice of 70 may be equal by chance; a run of ten draws is not.
    const draws = [...Array(10).keys()];
    const run = (choice: typeof CHOICE) =>
      draws.map((i) => chooseContext({ ...choice, draw: choice.draw + i }));
    expect(run({ ...CHOICE, ...other })).not.toEqual(run(CHOICE));
  });

  test('every question has its turn', () => {
    const chosen = Array.from({ length: 200 }, (_, draw) => chooseContext({ ...CHOICE, draw })).flat();
    for (const question of ANSWERED) {
      const share = chosen.filter((other) => other === question).length / 200;
      expect(share).toBeGreaterThan(0.35);
      expect(share).toBeLessThan(0.65);
    }
  });

  test('one answered question must be left: the error names the group and its count', () => {
    expect(() => chooseContext({ ...CHOICE, count: 7 })).not.toThrow();
    expect(() => chooseContext({ ...CHOICE, count: 8 })).toThrowError(
      expect.objectContaining({
        code: 'DATA_CONTEXT_TOO_LARGE',
        message: expect.stringMatching(/"Kenya".* 8$/),
      }),
    );
    expect(() => chooseContext({ ...CHOICE, answered: [], count: 0 })).toThrowError(
      expect.objectContaining({ code: 'DATA_CONTEXT_TOO_LARGE' }),
    );
  });
});
