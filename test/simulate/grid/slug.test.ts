import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shortLabel, slugsOf } from '../../../src/simulate/grid/slug.ts';

const keys = fc.uniqueArray(
  fc.oneof(fc.constantFrom('a.name', 'b.name', 'training.rounds', 'con'), fc.string({ minLength: 1 })),
  {
    minLength: 1,
    maxLength: 3,
  },
);
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom('A', 'a', 'ä', '..', 'nul', 'x-2', 'x', 1, -1),
);

describe('slugs of settings', () => {
  it('say which setting', () => {
    const slugs = slugsOf(
      ['predictor.name', 'training.localSteps'],
      [
        ['gpo', 3],
        ['factor', 6],
      ],
    );
    expect(slugs).toEqual(['predictor-name-gpo_local-steps-3', 'predictor-name-factor_local-steps-6']);
    expect(slugsOf([], [[]])).toEqual(['as-configured']);
    expect(slugsOf(['a.rounds', 'b.rounds'], [[1, 2]])).toEqual(['a-rounds-1_b-rounds-2']);
    expect(slugsOf(['training.learningRate'], [[0.0003], [-1], [1]])).toEqual([
      'learning-rate-0.0003',
      'learning-rate-1',
      'learning-rate-1-2',
    ]);
  });

  it('are safe and unique on every file system, whatever the values', () => {
    const cases = keys.chain((names) =>
      fc.tuple(
        fc.constant(names),
        fc.array(fc.array(value, { minLength: names.length, maxLength: names.length }), {
          minLength: 1,
          maxLength: 8,
        }),
      ),
    );
    fc.assert(
      fc.property(cases, ([names, settings]) => {
        const slugs = slugsOf(names, settings);
        expect(new Set(slugs.map((slug) => slug.toLowerCase())).size).toBe(settings.length);
        for (const slug of slugs) {
          expect(slug).toMatch(/^[a-z0-9]([a-z0-9._-]*[a-z0-9_])?$/);
          expect(slug.length).toBeLessThanOrEqual(80);
          // Windows keeps these for itself, with any extension.
          expect(slug).not.toMatch(/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/);
        }
      }),
    );
  });

  it('are the same for the same settings', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1 }), (values) => {
        const settings = values.map((one) => [one]);
        expect(slugsOf(['k'], settings)).toEqual(slugsOf(['k'], settings));
      }),
    );
  });
});

it('a short label keeps the part of a key that tells it apart', () => {
  expect(shortLabel(['predictor.name', 'training.rounds'], ['gpo', 5])).toBe('predictor.name gpo, rounds 5');
  expect(shortLabel(['training.contextQuestions'], [[5, 10]])).toBe('contextQuestions [5,10]');
});
