import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  countSchema,
  groupIdSchema,
  runDefinitionSchema,
  runDigest,
  runIdSchema,
} from '../../src/wire/run-definition.ts';
import { tinyPlan } from '../support/test-aggregator.ts';

const plan = tinyPlan();
const definition = runDefinitionSchema.parse({ format: 1, run: 'tiny', nonce: '0f'.repeat(16), plan });

/** The same value with the keys of all objects in another order. */
function shuffledKeys(value: unknown, order: readonly number[]): unknown {
  if (Array.isArray(value)) return value.map((item) => shuffledKeys(item, order));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, member], index) => ({
    at: order[index % order.length]!,
    entry: [key, shuffledKeys(member, order)] as const,
  }));
  return Object.fromEntries(entries.sort((a, b) => a.at - b.at).map(({ entry }) => entry));
}

describe('the definition of a run', () => {
  test('has one digest, whatever the order of its keys', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1, maxLength: 9 }), (order) => {
        const parsed = runDefinitionSchema.parse(shuffledKeys(definition, order));
        expect(runDigest(parsed)).toBe(runDigest(definition));
      }),
      { numRuns: 50 },
    );
  });

  test('has another digest when anything of it differs, also the order of its questions', () => {
    const { survey, features } = plan;
    const others = [
      { ...definition, run: 'tiny-2' },
      { ...definition, nonce: '0e'.repeat(16) },
      { ...definition, plan: { ...plan, quorum: 3 } },
      { ...definition, plan: { ...plan, deadlineMs: plan.deadlineMs + 1 } },
      { ...definition, plan: { ...plan, config: { ...plan.config, seed: 1 } } },
      { ...definition, plan: { ...plan, features: { ...features, digest: 'ff'.repeat(32) } } },
      { ...definition, plan: { ...plan, survey: { ...survey, questions: survey.questions.toReversed() } } },
      { ...definition, plan: { ...plan, survey: { ...survey, heldOutQuestions: ['q0'] } } },
    ].map((other) => runDigest(runDefinitionSchema.parse(other)));
    expect(new Set([runDigest(definition), ...others]).size).toBe(others.length + 1);
  });

  test.each([
    ['a NUL', 'a\0b'],
    ['half a character', 'a\ud83d'],
    ['the other half', '\ude00a'],
  ])('%s in a text, wherever it stands, is refused: no database keeps it', (_, text) => {
    const { survey } = plan;
    const [question] = survey.questions;
    const plans = [
      { ...plan, survey: { ...survey, name: text } },
      {
        ...plan,
        survey: { ...survey, questions: [{ ...question!, options: [text, 'b'] }, ...survey.questions] },
      },
      { ...plan, config: { ...plan.config, deep: { er: [text] } } },
      { ...plan, config: { ...plan.config, [text]: 1 } },
    ];
    for (const other of plans)
      expect(runDefinitionSchema.safeParse({ ...definition, plan: other }).success).toBe(false);
    expect(
      runDefinitionSchema.safeParse({ ...definition, plan: { ...plan, survey: { ...survey, name: 'a😀' } } })
        .success,
    ).toBe(true);
  });

  test('a plan that is nested deeper than the stack is an answer, and no crash', () => {
    let deep: unknown = 1;
    for (let depth = 0; depth < 200_000; depth++) deep = [deep];
    const config = { ...plan.config, deep };
    expect(() => runDefinitionSchema.safeParse({ ...definition, plan: { ...plan, config } })).not.toThrow();
  });

  test('keys that name a prototype do not reach one', () => {
    const text = JSON.stringify(definition).replace('"config":{', '"config":{"__proto__":{"polluted":1},');
    const parsed = runDefinitionSchema.safeParse(JSON.parse(text));
    expect(parsed.success && 'polluted' in parsed.data.plan.config).toBe(false);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
    const outer = JSON.parse(JSON.stringify(definition).replace('{', '{"__proto__":{"run":"other"},'));
    expect(runDefinitionSchema.safeParse(outer).success).toBe(false);
  });
});

describe('names', () => {
  test.each([
    'Kenya',
    'Bosnia & Herzegovina',
    'Côte d’Ivoire',
    '日本',
    'می‌خواهم',
    '👩‍🔬',
    'a/b',
    '...',
    '%2e',
    ' x',
  ])('%j names a group', (id) => {
    expect(groupIdSchema.safeParse(id).success).toBe(true);
  });

  test.each([
    '',
    '.',
    '..',
    ' ',
    '\u00a0',
    '\u200b',
    '\u2060',
    'a\nb',
    'a\0',
    'a\u007f',
    'a\u0085b',
    'a\u2028b',
    'a\u2029b',
    'a\u202eb',
    'a\u2066b',
    '\u200fa',
    'a\ud800',
    'x'.repeat(257),
  ])('%j names no group', (id) => {
    expect(groupIdSchema.safeParse(id).success).toBe(false);
  });

  test.each(['', '-a', 'A', 'a_b', 'a/b', '..', 'a'.repeat(64), 'a\n', 'ä'])('%j names no run', (id) => {
    expect(runIdSchema.safeParse(id).success).toBe(false);
  });

  test.each([-1, 0.5, 2 ** 31, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, '1'])(
    '%j is no count',
    (value) => {
      expect(countSchema.safeParse(value).success).toBe(false);
    },
  );
});
