import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { none } from '../../src/privacy/none.ts';
import { PROTECTIONS } from '../../src/privacy/table.ts';
import type { Update } from '../../src/wire/stages.ts';
import { fingerprint, PARAMETERS, protectionConformance } from '../conformance/protection.ts';
import { inClear, sumInClear } from '../support/in-clear.ts';
import { contextOf, SHAPE, updateOf } from '../support/protected-round.ts';

/** Weights and weighted deltas are rounded to multiples of this. */
const GRID = 2 ** -32;
const LARGEST = 8;

protectionConformance({
  kind: none,
  options: {},
  groups: 6,
  weight: fc.double({ min: 0.001, max: 1000, noNaN: true }),
  number: fc.float({ min: -LARGEST, max: LARGEST, noNaN: true }),
  // Half a grid step at most, of the weight and then of its product with the number.
  off: { weight: GRID / 2, product: () => (1 + LARGEST) * (GRID / 2), score: 0 },
  misshapen: () => 'UPDATE_LENGTH',
  unfit: [
    ['far too large a number', 'UPDATE_OUT_OF_RANGE', 1, [3e38, 2, 3, 4, 5]],
    ['a weight of 0', 'UPDATE_OUT_OF_RANGE', 0, [1, 2, 3, 4, 5]],
    ['a negative weight', 'UPDATE_OUT_OF_RANGE', -1, [1, 2, 3, 4, 5]],
    ['a weight that rounds to 0', 'UPDATE_OUT_OF_RANGE', GRID / 3, [1, 2, 3, 4, 5]],
    ['a weight of NaN', 'UPDATE_NOT_FINITE', Number.NaN, [1, 2, 3, 4, 5]],
    ['an infinite weight', 'UPDATE_NOT_FINITE', Number.POSITIVE_INFINITY, [0, 0, 0, 0, 0]],
    ['far too large a weight', 'UPDATE_OUT_OF_RANGE', 1e300, [0, 0, 0, 0, 0]],
  ],
  runs: 100,
});

const protection = none.create({}, SHAPE);

function sumOf(...updates: readonly Update[]) {
  const sum = sumInClear(updates[0]!.delta.length, 3);
  for (const update of updates) sum.add(0, inClear(update));
  return sum.finish();
}

const refused = expect.objectContaining({ code: 'UPDATE_OUT_OF_RANGE' });

test('it is in the table, once', () => {
  expect(PROTECTIONS.filter(({ name }) => name === 'none')).toEqual([none]);
});

test('a round collects the updates, and nothing after them', () => {
  expect(protection.steps).toEqual([{ name: 'upload', from: 'participants', least: 'quorum' }]);
  expect(protection).toMatchObject({ reveals: 'rows', updateStep: 0, groups: { least: 1 } });
  const sum = sumInClear(2, 3);
  expect(sum.show(0, 'g')).toHaveLength(0);
  expect(sum.noteOf(0, inClear(updateOf('g', 1, [1, 2])))).toHaveLength(0);
  expect(() => sum.recall(0, 'g', new Uint8Array())).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
});

describe('the payload', () => {
  test('is the weight as float64 and the numbers as float32, little-endian, as docs/protocol.md says', () => {
    const { payload } = inClear(updateOf('g', 2.5, [1, -2]));
    expect(Buffer.from(payload).toString('hex')).toBe('0000000000000440' + '0000803f' + '000000c0');
  });

  test('says nothing of the score', () => {
    const told = inClear(updateOf('g', 2.5, [1, -2], { score: 0.75 }));
    expect(told).toEqual(inClear(updateOf('g', 2.5, [1, -2])));
  });

  test('can stand anywhere in a larger buffer', () => {
    const sent = inClear(updateOf('g', 2, [1, -2]));
    const larger = new Uint8Array(sent.payload.length + 3);
    larger.set(sent.payload, 3);
    const sum = sumInClear(2, 3);
    sum.add(0, { ...sent, payload: larger.subarray(3) });
    expect([...sum.finish().weightedSum]).toEqual([2, -4]);
  });
});

describe('the sum', () => {
  /** Weighted deltas that are on the grid: whole weights, deltas in steps of 2^-12. */
  const onGrid = fc.array(
    fc.record({
      weight: fc.integer({ min: 1, max: 1000 }),
      steps: fc.array(fc.integer({ min: -4096, max: 4096 }), {
        minLength: PARAMETERS,
        maxLength: PARAMETERS,
      }),
    }),
    { minLength: 1, maxLength: 6 },
  );

  test('is exact where it is on the grid (property)', () => {
    fc.assert(
      fc.property(onGrid, (members) => {
        const updates = members.map(({ weight, steps }, index) =>
          updateOf(
            `g${index}`,
            weight,
            steps.map((count) => count / 4096),
          ),
        );
        const { round, weightedSum, totalWeight, scores, groups } = sumOf(...updates);
        const plain = Array.from({ length: PARAMETERS }, (_, i) =>
          members.reduce((sum, { weight, steps }) => sum + weight * steps[i]!, 0),
        );
        expect([...weightedSum].map((value) => value * 4096 + 0)).toEqual(plain.map((value) => value + 0));
        expect(totalWeight).toBe(members.reduce((sum, { weight }) => sum + weight, 0));
        expect({ round, scores, groups }).toEqual({
          round: 3,
          scores: null,
          groups: members.map((_, index) => `g${index}`),
        });
      }),
    );
  });

  test('can be finished, added to, and finished again', () => {
    const [a, b] = [inClear(updateOf('a', 1, [1, 2, 3])), inClear(updateOf('b', 2, [3, 2, 1]))];
    const sum = sumInClear(3, 3);
    sum.add(0, a);
    const first = sum.finish();
    const kept = fingerprint(first);
    sum.add(0, b);
    expect(fingerprint(sum.finish())).toBe(
      fingerprint(sumOf(updateOf('a', 1, [1, 2, 3]), updateOf('b', 2, [3, 2, 1]))),
    );
    expect(fingerprint(first)).toBe(kept);
  });

  test('of nothing is ROUND_FAILED', () => {
    expect(() => sumInClear(3, 3).finish()).toThrow(expect.objectContaining({ code: 'ROUND_FAILED' }));
  });

  test('must be of the groups that the round lists', () => {
    const sum = sumInClear(1, 3);
    sum.add(0, inClear(updateOf('b', 1, [1])));
    sum.add(0, inClear(updateOf('a', 1, [1])));
    for (const listed of [['a'], ['a', 'b', 'c'], ['a', 'c'], []]) {
      expect(() => sum.close(0, listed)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    }
    sum.close(0, ['a', 'b']);
  });

  test('takes updates as long as they fit, and none of them that does not: large ones (property)', () => {
    const large = fc.record({
      weight: fc.double({ min: 0.5, max: 2 ** 18, noNaN: true }),
      delta: fc.array(fc.float({ min: -4, max: 4, noNaN: true }), {
        minLength: PARAMETERS,
        maxLength: PARAMETERS,
      }),
    });
    fc.assert(
      fc.property(fc.array(large, { minLength: 1, maxLength: 12 }), (members) => {
        const sum = protection.collect(contextOf(PARAMETERS));
        let taken = 0;
        for (const [index, { weight, delta: values }] of members.entries()) {
          const sent = inClear(updateOf(`g${index}`, weight, values));
          const share = sum.screen(0, sent, '');
          expect(share).toBeGreaterThan(0);
          if (taken + share >= 1) continue;
          taken += share;
          expect(() => sum.add(0, sent)).not.toThrow();
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('rounding to the grid', () => {
  /** Halves of grid steps among them, with weights that are whole. */
  const halves = fc.tuple(fc.integer({ min: -(2 ** 24), max: 2 ** 24 }), fc.integer({ min: -34, max: -14 }));
  const delta = fc.oneof(
    halves.map(([number, exponent]) => number * 2 ** exponent),
    fc.float({ noNaN: true, min: -1024, max: 1024 }),
  );
  const weight = fc.oneof(
    fc.integer({ min: 1, max: 1000 }),
    fc.double({ noNaN: true, min: 0.001, max: 1000 }),
  );

  test('halves up, as Math.round does (property)', () => {
    fc.assert(
      fc.property(fc.array(delta, { minLength: 1, maxLength: 20 }), weight, (given, of) => {
        const { delta: values } = updateOf('g', of, given);
        const steps = Math.round(of * 2 ** 32);
        const expected = [...values].map((value) => Math.round(value * steps) / 2 ** 32);
        expect(sumOf(updateOf('g', of, given)).weightedSum).toEqual(
          Float64Array.from(expected, (value) => value + 0),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('the halves themselves', () => {
    const step = 2 ** -32;
    const given = [0.5, -0.5, 1.5, -1.5, 2.5, -2.5].map((steps) => steps * step);
    expect([...sumOf(updateOf('g', 1, given)).weightedSum].map((value) => value / step)).toEqual([
      1, 0, 2, -1, 3, -2,
    ]);
  });
});

describe('the bound of the exact sum', () => {
  /** Half of the range: 2^20 of 2^21. */
  const HALF = 2 ** 20;

  test('sums up to just below 2^21 are exact to the last grid step', () => {
    const large = HALF - 1;
    const fine = 2 ** -20;
    const { weightedSum } = sumOf(
      updateOf('a', 1, [large]),
      updateOf('b', 1, [large]),
      updateOf('c', 1, [fine]),
    );
    expect(weightedSum[0]).toBe(2 * large + fine);
  });

  test('beyond it an update is refused, in whatever order and whatever the signs', () => {
    const orders = [
      [HALF, HALF],
      [HALF, -HALF],
      [-HALF, HALF],
    ];
    for (const [a, b] of orders) {
      expect(() => sumOf(updateOf('a', 1, [a!]), updateOf('b', 1, [b!]))).toThrow(refused);
    }
    expect(() => sumOf(updateOf('a', HALF, [0]), updateOf('b', HALF, [0]))).toThrow(refused);
    expect(sumOf(updateOf('a', HALF, [0]), updateOf('b', HALF - 1, [0])).totalWeight).toBe(2 * HALF - 1);
  });

  test('the message names group, round and parameter', () => {
    expect(() => sumOf(updateOf('Kenya', 1, [0, Number.NaN]))).toThrow(/"Kenya" in round 3: parameter 1 /);
  });
});
