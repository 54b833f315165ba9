import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { randomStream } from '../../src/core/random.ts';
import {
  type Grid,
  gridOf,
  MOST_RING_BITS,
  quantise,
  ringBitsOf,
  weightedSumOf,
} from '../../src/privacy/grid.ts';
import { updateOf } from '../support/protected-round.ts';

function gridWith(change: Partial<Parameters<typeof gridOf>[0]> = {}): Grid {
  return gridOf({ bits: 16, mostGroups: 128, clipValue: 1, clipNorm: null, mostWeight: 100, ...change });
}

const NEVER = 0;
const ALWAYS = 2 ** 32 - 1;

interface Given {
  readonly delta: readonly number[];
  readonly weight?: number;
  /** The same for all numbers, or one for each. */
  readonly chance?: number | Uint32Array;
}

/** The numbers of an update on the grid, with their signs. */
function numbersOf(grid: Grid, { delta, weight = grid.mostWeight, chance = NEVER }: Given): number[] {
  const words = new Uint32Array(delta.length);
  const chances = typeof chance === 'number' ? words.slice().fill(chance) : chance;
  quantise(updateOf('g', weight, delta), grid, chances, words, 0);
  return [...new Int32Array(words.buffer)];
}

const bits = fc.integer({ min: 4, max: 24 });
const anyWord = fc.integer({ min: 0, max: ALWAYS });
/** Grids of all sizes whose sums fit. */
const grids = fc
  .record({
    bits,
    spare: fc.integer({ min: 0, max: 8 }),
    clipValue: fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
    clipNorm: fc.option(fc.double({ min: 1e-6, max: 1e6, noNaN: true })),
    mostWeight: fc.double({ min: 0.5, max: 1e6, noNaN: true }),
  })
  .map(({ spare, ...settings }) => gridOf({ ...settings, mostGroups: 2 ** spare }));
const shares = fc.double({ min: 0.001, max: 1, noNaN: true });

describe('the grid', () => {
  test('has as many steps on either side of 0 as its bits have numbers, up to the largest product', () => {
    const grid = gridWith({ bits: 8, clipValue: 0.5, mostWeight: 10 });
    expect(grid.step).toBe(5 / 127);
    expect(numbersOf(grid, { delta: [0.5, -0.5, 0] })).toEqual([127, -127, 0]);
  });

  test.each([
    [8, 1, 8],
    [16, 3, 18],
    [16, 128, 23],
    [16, 129, 24],
    [16, 65_536, 32],
    [24, 256, 32],
  ])('of %i bits for %i groups has a ring of %i bits', (of, groups, ring) => {
    expect(ringBitsOf(of, groups)).toBe(ring);
    expect(gridWith({ bits: of, mostGroups: groups }).ringBits).toBe(ring);
  });

  test('that does not fit a word, or is a point, is a fault', () => {
    const internal = expect.objectContaining({ code: 'INTERNAL' });
    expect(() => gridWith({ bits: 24, mostGroups: 257 })).toThrow(internal);
    expect(() => gridWith({ clipValue: 0 })).toThrow(internal);
    expect(() => gridWith({ mostWeight: 0 })).toThrow(internal);
  });
});

describe('rounding', () => {
  /** A grid whose steps are 1: numbers are themselves. */
  const whole = gridWith({ bits: 16, clipValue: 2 ** 15 - 1, mostWeight: 1 });

  test('a number that is on the grid stays, whatever the chance (property)', () => {
    const number = fc.integer({ min: -(2 ** 15) + 1, max: 2 ** 15 - 1 });
    fc.assert(
      fc.property(fc.array(number, { minLength: 1, maxLength: 20 }), anyWord, (delta, chance) => {
        expect(numbersOf(whole, { delta, chance })).toEqual(delta);
      }),
    );
  });

  test.each([
    [0.25, 0.75 * 2 ** 32],
    [2.5, 0.5 * 2 ** 32],
    [-0.25, 0.25 * 2 ** 32],
    [-7.125, 0.125 * 2 ** 32],
  ])('%f is rounded up for just the chances from %i on', (value, from) => {
    const down = Math.floor(value);
    for (const chance of [NEVER, from - 1])
      expect(numbersOf(whole, { delta: [value], chance })).toEqual([down]);
    for (const chance of [from, ALWAYS])
      expect(numbersOf(whole, { delta: [value], chance })).toEqual([down + 1]);
  });

  test.each([0.001, 0.1, 0.5, 0.9, -0.1, -0.5, -0.77, 12.34, -5000.3])(
    'of %f is right in the mean of a hundred thousand draws',
    (value) => {
      const draws = 100_000;
      const random = randomStream(1, 'rounding', String(value));
      const chance = Uint32Array.from({ length: draws }, () => random.below(2 ** 32));
      const delta = new Array<number>(draws).fill(value);
      const numbers = numbersOf(whole, { delta, chance });
      const exact = Math.fround(value);
      const mean = numbers.reduce((sum, number) => sum + number, 0) / draws;
      const fraction = exact - Math.floor(exact);
      // Six standard deviations of the mean of as many draws of 0 or 1: wrong once in 5e8 tries, and this one is always the same.
      const bound = 6 * Math.sqrt((fraction * (1 - fraction)) / draws);
      expect(Math.abs(mean - exact)).toBeLessThanOrEqual(bound);
      expect(new Set(numbers)).toEqual(new Set([Math.floor(exact), Math.floor(exact) + 1]));
    },
  );

  test('no number is off by a step, and none leaves the range (property)', () => {
    const delta = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), {
      minLength: 1,
      maxLength: 10,
    });
    fc.assert(
      fc.property(grids, shares, delta, anyWord, (grid, share, given, chance) => {
        const weight = share * grid.mostWeight;
        const { delta: values } = updateOf('g', weight, given);
        const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
        const scale = grid.clipNorm !== null && norm > grid.clipNorm ? grid.clipNorm / norm : 1;
        const largest = 2 ** (grid.bits - 1) - 1;
        const numbers = numbersOf(grid, { delta: given, weight, chance });
        for (const [index, number] of numbers.entries()) {
          const cut = Math.max(-grid.clipValue, Math.min(grid.clipValue, values[index]! * scale));
          // 1e-6 of a step is what float64 loses in quotients of millions.
          expect(Math.abs(number - (cut * weight) / grid.step)).toBeLessThan(1 + 1e-6);
          expect(number).toBeLessThanOrEqual(largest);
          expect(number).toBeGreaterThanOrEqual(-largest - 1);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('clipping', () => {
  test('cuts each number at the largest change, by the weight that the group has', () => {
    const grid = gridWith({ bits: 16, clipValue: 0.5 });
    const largest = 2 ** 15 - 1;
    expect(numbersOf(grid, { delta: [0.6, -0.6, 1e30, -3e38, 0.5] })).toEqual([
      largest,
      -largest,
      largest,
      -largest,
      largest,
    ]);
    const half = numbersOf(grid, { delta: [7, -7], weight: 50, chance: 2 ** 31 });
    expect(half).toEqual([largest / 2 + 0.5, -largest / 2 + 0.5].map(Math.floor));
  });

  test('also with every chance of rounding up there is no number beyond the largest', () => {
    for (const clipValue of [0.1, 1 / 3, 0.7, 1e-5, 123.4]) {
      const grid = gridWith({ bits: 12, clipValue, mostWeight: 7.7 });
      const [up, down] = numbersOf(grid, { delta: [9e9, -9e9], chance: ALWAYS });
      expect([up, down]).toEqual([2047, expect.toBeOneOf([-2047, -2046])]);
      expect(numbersOf(grid, { delta: [-9e9] })[0]).toBeGreaterThanOrEqual(-2048);
    }
  });

  test('scales a delta whose norm is too large down to it, and leaves another as it is', () => {
    const grid = gridWith({ bits: 24, mostGroups: 1, clipNorm: 1, mostWeight: 1 });
    const valuesOf = (delta: readonly number[]) =>
      numbersOf(grid, { delta, chance: 2 ** 31 }).map((number) => number * grid.step);
    const [three, four] = valuesOf([3, -4]);
    expect(three).toBeCloseTo(0.6, 6);
    expect(four).toBeCloseTo(-0.8, 6);
    const inside = [0.3, -0.4];
    for (const [index, value] of valuesOf(inside).entries()) expect(value).toBeCloseTo(inside[index]!, 6);
    expect(valuesOf([0, 0])).toEqual([0, 0]);
    // The norm of what comes of any delta is the clip norm at most, but for the rounding.
    const huge = valuesOf([3e38, 3e38, -3e38]);
    expect(Math.hypot(...huge)).toBeCloseTo(1, 6);
  });
});

describe('what cannot be on a grid', () => {
  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('%f is refused', (value) => {
    for (const clipNorm of [null, 1]) {
      for (const delta of [[value], [0, value, 1], [value, -value]]) {
        expect(() => numbersOf(gridWith({ clipNorm }), { delta })).toThrow(
          expect.objectContaining({
            code: 'UPDATE_NOT_FINITE',
            message: expect.stringContaining('"g" in round 3'),
          }),
        );
      }
    }
  });

  test('a weight of 0 is that of nobody: whatever the delta, all numbers are 0', () => {
    for (const clipNorm of [null, 1]) {
      const numbers = numbersOf(gridWith({ clipNorm }), { delta: [1, -1, 0, 12.5], weight: 0 });
      expect([...numbers].map(Math.abs)).toEqual([0, 0, 0, 0]);
    }
  });

  test.each([-1, 100.5, Number.NaN, Number.POSITIVE_INFINITY])('a weight of %f is a fault', (weight) => {
    expect(() => numbersOf(gridWith(), { delta: [1], weight })).toThrow(
      expect.objectContaining({ code: 'INTERNAL' }),
    );
  });
});

describe('a sum of words', () => {
  test('stands for the weighted sum with its sign, whatever stands above the ring (property)', () => {
    const sums = fc.record({
      bits,
      groups: fc.integer({ min: 1, max: 64 }),
      above: anyWord,
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(sums, ({ bits: of, groups, above, seed }) => {
        const grid = gridWith({ bits: of, mostGroups: groups, clipValue: 0.25 });
        const random = randomStream(seed, 'sums');
        const largest = 2 ** (of - 1);
        const words = new Uint32Array(2 + 3);
        const plain = [0, 0, 0];
        for (let group = 0; group < groups; group++) {
          for (let i = 0; i < plain.length; i++) {
            // The extremes too: all numbers at one end of the range.
            const number =
              seed % 3 === 0 ? -largest : seed % 3 === 1 ? largest - 1 : random.below(2 * largest) - largest;
            words[2 + i]! += number;
            plain[i]! += number;
          }
        }
        if (grid.ringBits < MOST_RING_BITS) {
          for (let i = 0; i < plain.length; i++) words[2 + i]! ^= above << grid.ringBits;
        }
        const expected = plain.map((number) => number * grid.step);
        expect([...weightedSumOf(words, 2, grid)].map((value) => value + 0)).toEqual(
          expected.map((value) => value + 0),
        );
      }),
    );
  });

  test('of quantised updates is near the plain sum', () => {
    const grid = gridWith({ bits: 16, mostGroups: 3, mostWeight: 4 });
    const updates = [1, 2, 4].map((weight) => updateOf(`g${weight}`, weight, [0.5, -0.125, 1 / 3]));
    const words = new Uint32Array(4);
    const one = new Uint32Array(4);
    for (const update of updates) {
      quantise(update, grid, new Uint32Array(3).fill(2 ** 31), one, 1);
      for (let i = 0; i < words.length; i++) words[i]! += one[i]!;
    }
    const sum = weightedSumOf(words, 1, grid);
    for (const [index, value] of [0.5, -0.125, 1 / 3].entries()) {
      expect(Math.abs(sum[index]! - 7 * value)).toBeLessThanOrEqual(3 * grid.step);
    }
  });

  test('an update is written from its place on, and nowhere else', () => {
    const words = Uint32Array.of(7, 8, 9, 10, 11);
    quantise(updateOf('g', 100, [1, -1]), gridWith({ bits: 8 }), new Uint32Array(2).fill(2 ** 31), words, 2);
    expect([...words]).toEqual([7, 8, 127, 2 ** 32 - 127, 11]);
  });
});
