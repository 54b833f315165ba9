import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { parseOptions } from '../../src/core/options.ts';

const inner = z.strictObject({ learningRate: z.number().default(1), rounds: z.int().optional() });
const schema = z.strictObject({
  plain: inner.optional(),
  defaulted: inner.default({ learningRate: 2 }),
  prefaulted: z.strictObject({ deeper: inner.optional() }).prefault({}),
  nullable: inner.nullable().optional(),
  listed: z.array(inner).optional(),
  open: z.looseObject({}).optional(),
});

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (thrown) {
    return thrown;
  }
  return undefined;
}

const refusal = (options: unknown, where = '') => thrownBy(() => parseOptions(where, schema, options));

describe('parseOptions', () => {
  test('fills in defaults; nothing at all counts as no options', () => {
    const defaults = { defaulted: { learningRate: 2 }, prefaulted: {} };
    expect(parseOptions('', schema, {})).toEqual(defaults);
    expect(parseOptions('', schema, undefined)).toEqual(defaults);
    expect(parseOptions('', schema, null)).toEqual(defaults);
  });

  test.each([
    [{ plane: {} }, 'plane', 'Did you mean "plain"?'],
    [{ plain: { learningrate: 1 } }, 'plain.learningrate', 'Did you mean "learningRate"?'],
    [{ defaulted: { round: 1 } }, 'defaulted.round', 'Did you mean "rounds"?'],
    [{ nullable: { round: 1 } }, 'nullable.round', 'Did you mean "rounds"?'],
    [{ prefaulted: { deeper: { round: 1 } } }, 'prefaulted.deeper.round', 'Did you mean "rounds"?'],
    [
      { prefaulted: { deeper: { temperature: 1 } } },
      'prefaulted.deeper.temperature',
      'Known: learningRate, rounds.',
    ],
    // Keys inside a list are not looked up, only named.
    [{ listed: [{ round: 1 }] }, 'listed.0.round', 'Remove it: nothing can be set here.'],
  ])('an unknown key is named with the nearest known one: %j', (options, path, hint) => {
    expect(refusal(options)).toMatchObject({
      code: 'CONFIG_UNKNOWN_KEY',
      message: `unknown key "${path}"`,
      hint,
    });
  });

  test('messages start with the place in the configuration', () => {
    expect(refusal({ plain: { x: 1 } }, 'training')).toMatchObject({
      message: 'unknown key "training.plain.x"',
    });
    expect(refusal({ plain: { rounds: 'many' } }, 'training')).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/^training\.plain\.rounds: .*expected number/),
    });
    expect(refusal(3)).toMatchObject({ message: expect.stringMatching(/^configuration: .*expected object/) });
  });

  test.each(['{"__proto__":{"a":1}}', '{"open":{"__proto__":1}}', '{"open":{"a":[{"__proto__":1}]}}'])(
    '__proto__ is refused by name at any depth: %s',
    (json) => {
      expect(refusal(JSON.parse(json))).toMatchObject({
        code: 'CONFIG_UNKNOWN_KEY',
        message: expect.stringContaining('__proto__"'),
      });
    },
  );

  test('a value that contains itself is refused', () => {
    const own: Record<string, unknown> = {};
    own['a'] = own;
    expect(refusal({ open: own })).toMatchObject({ code: 'CONFIG_INVALID' });
  });
});
