import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesFrom } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/digest.ts';
import { ASSUMED, findGraph } from '../../src/privacy/mask/graph.ts';
import { rosterOf } from '../../src/privacy/mask/roster.ts';
import { mask } from '../../src/privacy/mask.ts';
import { PROTECTIONS } from '../../src/privacy/table.ts';
import { protectionConformance } from '../conformance/protection.ts';
import { contextOf, identityIn, ProtectedRound, SHAPE, updateOf } from '../support/protected-round.ts';

const MOST = 6;
const BITS = 16;
const options = { bits: BITS, mostGroups: MOST };

/** Weight times number of one step of the grid: the largest product of all, over the largest number of so many bits. */
const STEP = (SHAPE.mostWeight * SHAPE.reach) / (2 ** (BITS - 1) - 1);
/** Weights and scores have twice the digits. */
const WEIGHT_UNIT = 128 * 2 ** (-2 * (BITS - 1));
const SCORE_UNIT = 2 * 2 ** (-2 * (BITS - 1));

protectionConformance({
  kind: mask,
  options,
  groups: 5,
  weight: fc.oneof(
    fc.integer({ min: 1, max: SHAPE.mostWeight }),
    fc.double({ min: 0.01, max: SHAPE.mostWeight, noNaN: true }),
  ),
  number: fc.float({ min: -SHAPE.reach, max: SHAPE.reach, noNaN: true }),
  // Rounded up or down by chance, not to the nearest.
  off: { weight: WEIGHT_UNIT / 2, product: () => STEP, score: SCORE_UNIT / 2 },
  misshapen: (step) => (mask.steps[step]!.name === 'upload' ? 'UPDATE_LENGTH' : 'UPDATE_MALFORMED'),
  unfit: [],
  runs: 10,
});

test('it is in the table, once', () => {
  expect(PROTECTIONS.filter(({ name }) => name === 'mask')).toEqual([mask]);
});

describe('the number of groups', () => {
  const updates = (count: number) =>
    Array.from({ length: count }, (_, index) => updateOf(`g${index}`, 1, [0.5]));
  const play = (count: number, change: object = {}) =>
    new ProtectedRound({
      protection: mask.create({ ...options, ...change }, SHAPE),
      updates: updates(count),
      context: contextOf(1),
    }).play();

  test('is what the options say, and three at least', () => {
    expect(mask.create(options, SHAPE).groups).toEqual({ least: 3, most: MOST });
    expect(mask.create({ ...options, leastGroups: 4 }, SHAPE).groups).toEqual({ least: 4, most: MOST });
    expect(play(3).groups).toEqual(['g0', 'g1', 'g2']);
    expect(play(MOST).groups).toHaveLength(MOST);
    for (const change of [{ leastGroups: 2 }, { mostGroups: 2 }, { leastGroups: MOST + 1 }]) {
      expect(mask.options.safeParse({ ...options, ...change }).success).toBe(false);
    }
  });

  test('that is too small or too large is refused by the groups, too', () => {
    const force = (count: number, by: { least: number; most: number }) => {
      const protection = { ...mask.create(options, SHAPE), groups: by };
      return () => new ProtectedRound({ protection, updates: updates(count), context: contextOf(1) }).play();
    };
    expect(force(2, { least: 2, most: MOST })).toThrow(expect.objectContaining({ code: 'ROUND_REFUSED' }));
    expect(force(MOST + 1, { least: 3, most: 100 })).toThrow(
      expect.objectContaining({ code: 'AGGREGATOR_UNTRUSTED' }),
    );
  });

  test('that have no neighbour graph is an error of the round, with what to change', () => {
    const groups = 1900;
    expect(findGraph(groups, ASSUMED)).toBeNull();
    const adverts = Array.from({ length: groups }, (_, index) => {
      const key = (what: string) => bytesFrom(sha256(what, String(index)));
      const signature = new Uint8Array(64);
      const keys = { identity: key('identity'), cipherKey: key('cipher'), maskKey: key('mask'), signature };
      return { group: `g${10_000 + index}`, ...keys };
    });
    expect(() => rosterOf(contextOf(1), adverts, ASSUMED)).toThrow(
      expect.objectContaining({
        code: 'ROUND_REFUSED',
        message: expect.stringContaining('no neighbour graph for 1900 groups'),
        hint: expect.stringContaining('protection.corruptShare'),
      }),
    );
    expect(rosterOf(contextOf(1), adverts.slice(0, 300), ASSUMED).groups).toHaveLength(300);
    const parsed = mask.options.safeParse({ mostGroups: groups });
    expect(parsed.error?.issues[0]?.message).toMatch(/no neighbour graph/);
  });

  test('takes a share of the capacity that leaves room for all of them, and for no more', () => {
    const round = new ProtectedRound({
      protection: mask.create(options, SHAPE),
      updates: updates(3),
      context: contextOf(1),
    });
    const reply = round.answer(0, 'g0');
    const share = round.collection.screen(0, reply, identityIn('g0').publicKey);
    expect(MOST * share).toBeLessThan(1);
    expect((MOST + 1) * share).toBeGreaterThanOrEqual(1);
  });
});

describe('options', () => {
  test('that would overflow the ring are refused, with what to change', () => {
    const parsed = mask.options.safeParse({ bits: 24, mostGroups: 257 });
    expect(parsed.error?.issues[0]?.message).toMatch(/overflow 32: lower bits or mostGroups/);
    expect(mask.options.safeParse({ bits: 24, mostGroups: 256 }).success).toBe(true);
  });

  test.each(['clipValue', 'clipNorm'])('%s has a bound, up to which sums are finite', (name) => {
    const most = 1e9;
    for (const value of [most * (1 + 1e-9), 1e308, Number.POSITIVE_INFINITY, 0, -1]) {
      expect(mask.options.safeParse({ [name]: value }).success, String(value)).toBe(false);
    }
    const round = new ProtectedRound({
      protection: mask.create(mask.options.parse({ [name]: most }), { ...SHAPE, mostWeight: 1e9 }),
      updates: [0, 1, 2].map((index) => updateOf(`g${index}`, 1e9, [0, 0.5, -3e38], { score: 1 })),
      context: contextOf(3),
    });
    const { weightedSum, totalWeight } = round.play();
    expect([...weightedSum, totalWeight].every(Number.isFinite)).toBe(true);
    expect([...Float32Array.from(weightedSum)].every(Number.isFinite)).toBe(true);
  });
});
