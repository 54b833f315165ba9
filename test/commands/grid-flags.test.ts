import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { parseAxis, parseSeeds } from '../../src/commands/grid-flags.ts';

const coded = (code: string) => expect.objectContaining({ code });

describe('--seeds', () => {
  it('counts seeds, or lists them', () => {
    expect(parseSeeds('5')).toEqual({ count: 5 });
    expect(parseSeeds('0,3,7')).toEqual({ list: [0, 3, 7] });
    expect(parseSeeds('0, 3')).toEqual({ list: [0, 3] });
  });

  it.each(['', '0', '-1', '1.5', '1,', ',', '1,,2', 'five', '1e3', '1,-2', '9'.repeat(20)])(
    'refuses "%s"',
    (text) => {
      expect(() => parseSeeds(text)).toThrowError(coded('USAGE'));
    },
  );
});

/** Values that YAML writes in flow style and reads as the same. */
const value = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !Object.is(number, -0)),
  fc.boolean(),
  fc.constant(null),
  fc.string(),
  fc.array(fc.integer(), { maxLength: 3 }),
  fc.record({ name: fc.string(), width: fc.nat() }),
);

/** JSON is YAML in flow style. */
const written = (values: readonly unknown[]) => values.map((one) => JSON.stringify(one)).join(',');

describe('--grid', () => {
  it('reads values as YAML', () => {
    expect(parseAxis('predictor.name=gpo,factor')).toEqual({
      key: 'predictor.name',
      values: ['gpo', 'factor'],
    });
    expect(parseAxis('training.learningRate=1e-3, 3e-4').values).toEqual([0.001, 0.0003]);
    expect(parseAxis('data.splitSeed=null,0').values).toEqual([null, 0]);
    expect(parseAxis('predictor={name: gpo, width: 8},factor').values).toEqual([
      { name: 'gpo', width: 8 },
      'factor',
    ]);
  });

  it('reads a list of values where the values are lists', () => {
    const ranges = [
      [5, 10],
      [5, 25],
    ];
    expect(parseAxis('training.contextQuestions=[[5,10],[5,25]]').values).toEqual(ranges);
    expect(parseAxis('training.contextQuestions=[5,10],[5,25]').values).toEqual(ranges);
    expect(parseAxis('training.contextQuestions=[[5,10]]').values).toEqual([[5, 10]]);
  });

  it('gives back any values that were written, bare or as a list', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), (values) => {
        expect(parseAxis(`a.b=[${written(values)}]`)).toEqual({ key: 'a.b', values });
        // A single list without brackets around it is the list of the values.
        fc.pre(values.length > 1 || !Array.isArray(values[0]));
        expect(parseAxis(`a.b=${written(values)}`)).toEqual({ key: 'a.b', values });
      }),
    );
  });

  it('reads a list that the yaml package wrote', () => {
    const text = stringify([[5, 10], 'a, b', { name: 'x' }], { collectionStyle: 'flow', lineWidth: 0 });
    expect(parseAxis(`k=${text.trim()}`).values).toEqual([[5, 10], 'a, b', { name: 'x' }]);
  });

  it('refuses what is no key, no value or no YAML', () => {
    for (const text of ['', 'a', '=1', 'a..b=1', '.a=1']) {
      expect(() => parseAxis(text), text).toThrowError(coded('USAGE'));
    }
    for (const text of ['a=[1', 'a=1]', 'a={b', 'a=*x']) {
      expect(() => parseAxis(text), text).toThrowError(coded('CONFIG_INVALID'));
    }
  });
});
