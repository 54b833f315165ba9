import { describe, expect, it } from 'vitest';
import { configDigest, parseConfig } from '../../../src/config/config.ts';
import { cellFolder, gridOver, seedsDrawSplits } from '../../../src/simulate/grid/grid.ts';

const BASE = { seed: 4, data: { survey: 'nonvoters', groups: { training: 14, unseen: 7 } } };
const axis = (key: string, ...values: unknown[]) => ({ key, values });
const coded = (code: string, ...words: readonly string[]) =>
  expect.objectContaining({ code, message: expect.stringMatching(new RegExp(words.join('.*'))) });

describe('a grid', () => {
  it('has one cell for each setting and seed, each the configuration that a run of its own would have', () => {
    const axes = [axis('training.localSteps', 3, 6), axis('predictor', 'gpo', 'factor')];
    const { cells, settings, seeds } = gridOver(BASE, axes, { count: 2 });
    expect(seeds).toEqual([4, 5]);
    expect(settings.map(({ label }) => label)).toEqual([
      'training.localSteps=3, predictor=gpo',
      'training.localSteps=3, predictor=factor',
      'training.localSteps=6, predictor=gpo',
      'training.localSteps=6, predictor=factor',
    ]);
    const expected = [3, 6].flatMap((localSteps) =>
      ['gpo', 'factor'].flatMap((predictor) =>
        [4, 5].map((seed) =>
          configDigest(parseConfig({ ...BASE, seed, predictor, training: { localSteps } })),
        ),
      ),
    );
    expect(cells.map(({ config }) => configDigest(config))).toEqual(expected);
    expect(new Set(cells.map(cellFolder)).size).toBe(8);
    expect(cellFolder(cells[1]!)).toBe('local-steps-3_predictor-gpo/seed-5');
  });

  it('leaves the base and the values as they were', () => {
    const values = [{ name: 'gpo', width: 8 }];
    const before = structuredClone({ BASE, values });
    gridOver(BASE, [axis('predictor', ...values), axis('predictor.heads', 2, 4)], { list: [0] });
    expect({ BASE, values }).toEqual(before);
  });

  it('takes the seed of the configuration where none is asked for, and those that are named', () => {
    expect(gridOver(BASE, [axis('training.rounds', 1)], null).seeds).toEqual([4]);
    expect(gridOver(BASE, [], { list: [9, 0] }).seeds).toEqual([9, 0]);
  });

  it('refuses a bad cell before any other runs, and names it', () => {
    const refused = (axes: Parameters<typeof gridOver>[1]) => () => gridOver(BASE, axes, { count: 2 });
    expect(refused([axis('training.rounds', 5, 0)])).toThrowError(
      coded('CONFIG_INVALID', 'training.rounds=0', 'training.rounds'),
    );
    expect(refused([axis('training.roundz', 5)])).toThrowError(
      coded('CONFIG_UNKNOWN_KEY', 'training.roundz=5'),
    );
    expect(refused([axis('predictor', 'gpo', 'gpt')])).toThrowError(coded('CONFIG_INVALID', 'predictor=gpt'));
    expect(refused([axis('protection', 'mask', 'none'), axis('data.groups.training', 14, 2)])).toThrowError(
      coded('CONFIG_CONFLICT', 'protection=mask, data.groups.training=2'),
    );
    expect(refused([axis('__proto__.x', 1)])).toThrowError(coded('CONFIG_UNKNOWN_KEY', '__proto__'));
  });

  it('refuses what is given twice', () => {
    const twice =
      (...values: unknown[]) =>
      () =>
        gridOver(BASE, [axis('predictor', ...values)], null);
    expect(twice('gpo', 'gpo')).toThrowError(coded('CONFIG_CONFLICT', 'same setting'));
    // Written differently, and the same all the same.
    expect(twice('gpo', { name: 'gpo' })).toThrowError(coded('CONFIG_CONFLICT', 'same setting'));
    expect(() => gridOver(BASE, [axis('seed', 1)], null)).toThrowError(coded('USAGE'));
    expect(() => gridOver(BASE, [axis('output', 'a')], null)).toThrowError(coded('USAGE'));
    expect(() => gridOver(BASE, [], { list: [1, 2, 1] })).toThrowError(coded('USAGE', 'seed 1'));
    expect(() => gridOver(BASE, [axis('compare', []), axis('compare', [])], null)).toThrowError(
      coded('USAGE', 'compare'),
    );
  });

  it('refuses an axis without values, values that JSON cannot hold, and more runs than anybody means', () => {
    expect(() => gridOver(BASE, [axis('training.rounds')], null)).toThrowError(
      coded('USAGE', 'training.rounds'),
    );
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, cyclic]) {
      expect(() => gridOver(BASE, [axis('training.rounds', value)], null)).toThrowError(
        coded('CONFIG_INVALID', 'JSON'),
      );
    }
    expect(() => gridOver(BASE, [], { count: 1e9 })).toThrowError(coded('USAGE', '1000'));
  });

  it('knows whether seeds draw splits', () => {
    const drawn = (data: object) => seedsDrawSplits(parseConfig({ data: { ...BASE.data, ...data } }));
    const named = { training: ['a', 'b', 'c'], unseen: ['d'] };
    expect(drawn({})).toBe(true);
    expect(drawn({ splitSeed: 0 })).toBe(false);
    expect(drawn({ groups: named })).toBe(false);
    expect(drawn({ groups: named, heldOutQuestions: 0.2 })).toBe(true);
  });
});
