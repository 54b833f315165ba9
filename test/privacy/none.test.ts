import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { none } from '../../src/privacy/none.ts';
import { PROTECTIONS } from '../../src/privacy/table.ts';
import { protectionConformance, updateOf } from '../conformance/protection.ts';

protectionConformance({ kind: none, options: {} });

const protection = none.create({});

function sumOf(...updates: readonly ReturnType<typeof updateOf>[]) {
  const fold = protection.fold(3, updates[0]!.delta.length);
  for (const update of updates) fold.add(protection.protect(update));
  return fold.finish();
}

const refused = expect.objectContaining({ code: 'UPDATE_OUT_OF_RANGE' });

test('it is in the table, once', () => {
  expect(PROTECTIONS.filter(({ name }) => name === 'none')).toEqual([none]);
});

test('a round collects the updates, and nothing after them', () => {
  expect(protection.steps).toEqual([{ name: 'upload', from: 'participants' }]);
});

describe('the payload', () => {
  test('is the weight as float64 and the numbers as float32, little-endian, as docs/protocol.md says', () => {
    const { payload } = protection.protect(updateOf('g', 2.5, [1, -2]));
    expect(Buffer.from(payload).toString('hex')).toBe('0000000000000440' + '0000803f' + '000000c0');
  });

  test('can stand anywhere in a larger buffer', () => {
    const sent = protection.protect(updateOf('g', 2, [1, -2]));
    const larger = new Uint8Array(sent.payload.length + 3);
    larger.set(sent.payload, 3);
    const fold = protection.fold(3, 2);
    fold.add({ ...sent, payload: larger.subarray(3) });
    expect([...fold.finish().weightedSum]).toEqual([2, -4]);
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
