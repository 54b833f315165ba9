import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { splitGroups, splitQuestions } from '../../src/data/split.ts';
import type { Survey } from '../../src/data/survey.ts';
import { errorOf, makeSurvey } from './make-draft.ts';

const where = { file: 'made up' };

function surveyOf(groups: readonly string[], questions: number): Survey {
  const asked = Array.from({ length: questions }, (_, q) => ({
    id: `q${q}`,
    text: `Question ${q}?`,
    options: ['a', 'b'],
    where,
  }));
  return makeSurvey({
    groups: groups.map((id) => ({ id, label: id })),
    questions: asked,
    answers: groups.flatMap((group) =>
      asked.map(({ id }) => ({ question: id, group, weights: [1, 1], where })),
    ),
  });
}

const names = ['Ébène', 'beta', 'Alpha', 'gamma', 'delta', 'Zeta', 'eta'];
const survey = surveyOf(names, 20);
const idsOf = (indices: readonly number[], of: Survey): string[] =>
  indices.map((index) => of.groups[index]!.id);

describe('splitGroups', () => {
  test('draws disjoint groups of the asked sizes', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 7 }), fc.nat(7), (seed, training, more) => {
        const unseen = Math.min(more, 7 - training);
        const split = splitGroups(survey, { training, unseen, seed });
        expect([split.training.length, split.unseen.length]).toEqual([training, unseen]);
        expect(new Set([...split.training, ...split.unseen]).size).toBe(training + unseen);
      }),
    );
  });

  test('depends on the names and the seed, not on the order of the groups', () => {
    const reversed = surveyOf([...names].reverse(), 20);
    const request = { training: 4, unseen: 3, seed: 5 };
    expect(idsOf(splitGroups(reversed, request).training, reversed)).toEqual(
      idsOf(splitGroups(survey, request).training, survey),
    );
    const draws = Array.from({ length: 20 }, (_, seed) =>
      splitGroups(survey, { ...request, seed }).training.join(),
    );
    expect(new Set(draws).size).toBeGreaterThan(10);
  });

  test('takes a longer draw as a continuation of a shorter one', () => {
    const { training } = splitGroups(survey, { training: 6, unseen: 0, seed: 1 });
    const shorter = splitGroups(survey, { training: 4, unseen: 2, seed: 1 });
    expect([...shorter.training, ...shorter.unseen]).toEqual(training);
  });

  test('takes lists as they are, and draws only from what is not listed', () => {
    const lists = splitGroups(survey, { training: ['eta', 'Alpha'], unseen: ['beta'], seed: 0 });
    expect(lists).toEqual({ training: [6, 2], unseen: [1] });
    const mixed = splitGroups(survey, { training: ['eta', 'Alpha'], unseen: 5, seed: 0 });
    expect(mixed.training).toEqual([6, 2]);
    expect([...mixed.unseen].sort()).toEqual([0, 1, 3, 4, 5]);
  });

  test.each([
    [{ training: ['eta'], unseen: ['gama'] }, 'DATA_UNKNOWN_GROUP', 'Did you mean "gamma"?'],
    [{ training: ['eta'], unseen: ['eta'] }, 'CONFIG_CONFLICT', /once/],
    [{ training: 5, unseen: 3 }, 'CONFIG_CONFLICT', /7 groups/],
    [{ training: ['eta'], unseen: 7 }, 'CONFIG_CONFLICT', /1 of them listed/],
    [{ training: 0, unseen: 3 }, 'CONFIG_INVALID', undefined],
    [{ training: [], unseen: 3 }, 'CONFIG_INVALID', undefined],
    [{ training: 1.5, unseen: 3 }, 'CONFIG_INVALID', undefined],
    [{ training: 2, unseen: -1 }, 'CONFIG_INVALID', undefined],
  ])('refuses %j', async (choice, code, hint) => {
    const error = await errorOf(() => splitGroups(survey, { ...choice, seed: 0 }));
    expect(error.code).toBe(code);
    if (hint === undefined) expect(error.hint).toBeUndefined();
    else expect(error.hint).toMatch(hint);
  });
});

describe('splitQuestions', () => {
  test('holds out the asked fraction, ascending', () => {
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: 0, max: 0.99, noNaN: true }), (seed, heldOutFraction) => {
        const heldOut = splitQuestions(survey, { heldOutFraction, seed });
        expect(heldOut.length).toBe(Math.round(20 * heldOutFraction));
        expect(heldOut).toEqual([...new Set(heldOut)].sort((a, b) => a - b));
        for (const question of heldOut) expect(survey.questions[question]).toBeDefined();
      }),
    );
  });

  test('is drawn apart from the groups, and anew for each seed', () => {
    const draws = Array.from({ length: 20 }, (_, seed) =>
      splitQuestions(survey, { heldOutFraction: 0.2, seed }).join(),
    );
    expect(new Set(draws).size).toBeGreaterThan(10);
  });

  test.each([-0.1, 1, Number.NaN])('refuses the fraction %d', async (heldOutFraction) => {
    expect((await errorOf(() => splitQuestions(survey, { heldOutFraction, seed: 0 }))).code).toBe(
      'CONFIG_INVALID',
    );
  });
});
