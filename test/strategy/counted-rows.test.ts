import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asStage } from '../../src/core/brand.ts';
import { maskOptions, maskSettings } from '../../src/privacy/mask/settings.ts';
import { sumOfWords, updateWords } from '../../src/privacy/secure-sum/words.ts';
import { countingRows, countsOf } from '../../src/strategy/counted-rows.ts';
import { fedavg } from '../../src/strategy/fedavg.ts';
import { makeUpdate } from '../../src/training/make-update.ts';
import type { CountedRows } from '../../src/wire/counted-rows.ts';
import { makeModel } from '../../src/wire/model.ts';
import type { Aggregate, Update } from '../../src/wire/stages.ts';
import { SHAPE } from '../support/protected-round.ts';

const ROWS = 4;
const WIDTH = 2;
/** One number that everybody trains, a table [4, 2], and its counts. */
const SIZE = 1 + ROWS * WIDTH + ROWS;
const COUNTS = SIZE - ROWS;
const UNIT = 0.75;

const counted = (least: number): CountedRows => ({
  offset: COUNTS,
  rows: ROWS,
  tensors: [{ offset: 1, width: WIDTH }],
  least,
});

interface Member {
  readonly touches: readonly boolean[];
  readonly weight: number;
  /** What training changed: multiples of 2^-10, so that sums are exact. */
  readonly change: readonly number[];
}

const change = fc.integer({ min: -1024, max: 1024 }).map((steps) => steps / 1024);
const member: fc.Arbitrary<Member> = fc.record({
  touches: fc.array(fc.boolean(), { minLength: ROWS, maxLength: ROWS }),
  weight: fc.constant(1),
  change: fc.array(change, { minLength: SIZE, maxLength: SIZE }),
});
const members = fc.array(member, { minLength: 3, maxLength: 8 });

function updateOf(
  { touches, weight, change: changed }: Member,
  received: Float32Array,
  least: number,
): Update {
  return makeUpdate({
    group: 'g',
    round: 1,
    weight,
    received,
    trained: received.map((value, i) => value + changed[i]!),
    score: null,
    rows: { counted: counted(least), touched: (row) => touches[row]!, unit: UNIT },
  });
}

function sumOf(updates: readonly Update[]): Aggregate {
  const weightedSum = new Float64Array(SIZE);
  for (const { weight, delta } of updates) {
    for (const [i, value] of delta.entries()) weightedSum[i]! += weight * value;
  }
  return asStage({
    round: 1,
    weightedSum,
    totalWeight: updates.reduce((sum, { weight }) => sum + weight, 0),
    scores: null,
    groups: updates.map((_, index) => `g${index}`),
  });
}

function play(all: readonly Member[], start: Float32Array, least: number, mostWeight = 1) {
  const strategy = countingRows(fedavg.create({}), counted(least), { unit: UNIT, mostWeight });
  const updates = all.map((one) => updateOf(one, start, least));
  const { model } = strategy.next(makeModel(0, start), sumOf(updates), strategy.initialState());
  return { parameters: model.parameters, updates };
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

describe('rows that only some groups touch', () => {
  test('hold the mean over those groups, and how many they are; everything else the mean over all (property)', () => {
    fc.assert(
      fc.property(members, (all) => {
        const { parameters } = play(all, new Float32Array(SIZE), 1);
        expect(parameters[0]).toBeCloseTo(mean(all.map((one) => one.change[0]!)), 5);
        for (let row = 0; row < ROWS; row++) {
          const touching = all.filter(({ touches }) => touches[row]);
          expect(parameters[COUNTS + row]).toBeCloseTo(touching.length, 5);
          for (let column = 0; column < WIDTH; column++) {
            const at = 1 + row * WIDTH + column;
            const expected = touching.length === 0 ? 0 : mean(touching.map((one) => one.change[at]!));
            expect(parameters[at]).toBeCloseTo(expected, 5);
          }
        }
      }),
    );
  });

  test('no group sends a row before the model says that enough groups touch it, nor ever one that it has no answers for (property)', () => {
    fc.assert(
      fc.property(members, fc.integer({ min: 2, max: 5 }), (all, least) => {
        const first = play(all, new Float32Array(SIZE), least);
        const second = play(all, first.parameters, least);
        for (const [index, { touches, change: changed }] of all.entries()) {
          for (let row = 0; row < ROWS; row++) {
            const touching = all.filter((one) => one.touches[row]).length;
            for (let at = 1 + row * WIDTH; at < 1 + (row + 1) * WIDTH; at++) {
              expect(first.updates[index]!.delta[at]).toBe(0);
              const sent = second.updates[index]!.delta[at]!;
              expect(sent).toBeCloseTo(touches[row] && touching >= least ? changed[at]! : 0, 5);
            }
          }
        }
        for (let row = 0; row < ROWS; row++) {
          const enough = all.filter((one) => one.touches[row]).length >= least;
          if (!enough)
            expect(second.parameters.slice(1 + row * WIDTH, 1 + (row + 1) * WIDTH)).toEqual(
              new Float32Array(WIDTH),
            );
        }
      }),
    );
  });

  test('a row whose groups are too few in a later round stays, and nobody sends it in the next', () => {
    const everywhere = Array<boolean>(ROWS).fill(true);
    const full = { touches: everywhere, weight: 1, change: Array<number>(SIZE).fill(0.5) };
    const known = play([full, full, full], new Float32Array(SIZE), 3).parameters;
    expect(known[COUNTS]).toBeCloseTo(3, 6);
    // Two of the three are gone.
    const later = play([full, { ...full, touches: [false, true, true, true] }], known, 3).parameters;
    expect(later.slice(1, 1 + WIDTH)).toEqual(known.slice(1, 1 + WIDTH));
    expect(later[COUNTS]).toBeCloseTo(1, 6);
    const next = play([full, full, full], later, 3);
    expect([...next.updates[0]!.delta.subarray(1, COUNTS)]).toEqual(Array(ROWS * WIDTH).fill(0));
    // All three told that they are there again: from here on they send.
    const after = play([full, full, full], next.parameters, 3);
    expect([...after.updates[0]!.delta.subarray(1, COUNTS)]).toEqual(Array(ROWS * WIDTH).fill(0.5));
  });

  test('groups of less than the largest weight count as less: a row is never released by fewer groups than asked for', () => {
    const everywhere = Array<boolean>(ROWS).fill(true);
    const light = { touches: everywhere, weight: 2, change: Array<number>(SIZE).fill(0.5) };
    const start = new Float32Array(SIZE).fill(9, COUNTS);
    const moved = (count: number) => play(Array(count).fill(light), start, 2, 8).parameters[1] !== 0;
    expect(moved(4)).toBe(false);
    expect(moved(8)).toBe(true);
  });

  test('what a group had in place of the counts does not reach the sum', () => {
    const { updates } = play(
      [{ touches: [true, false, true, false], weight: 1, change: Array<number>(SIZE).fill(1) }],
      new Float32Array(SIZE),
      1,
    );
    expect([...updates[0]!.delta.subarray(COUNTS)]).toEqual([UNIT, 0, UNIT, 0]);
  });
});

describe('counts on the grid of a protection', () => {
  /** Counts of the rows in the sum of updates whose weights are in `weights`, each rounded to the grid. */
  function countsOn(bits: number, unit: number, members: readonly Member[], seed: number) {
    const options = maskOptions.parse({ bits, clipValue: unit, mostGroups: 16 });
    const settings = maskSettings(options, { ...SHAPE, mostWeight: 8, seed });
    const sum = new Uint32Array(SIZE + 4 * 5);
    let length = 0;
    for (const [index, { touches, weight }] of members.entries()) {
      const received = new Float32Array(SIZE);
      const rows = { counted: counted(1), touched: (row: number) => touches[row]!, unit };
      const group = `g${index}`;
      const update = makeUpdate({ group, round: 1, weight, received, trained: received, score: null, rows });
      const words = updateWords(update, settings, new Uint8Array(32));
      length = words.length;
      for (const [at, word] of words.entries()) sum[at]! += word;
    }
    const { weightedSum, totalWeight } = sumOfWords(sum.subarray(0, length), settings);
    const aggregate: Aggregate = asStage({ round: 1, weightedSum, totalWeight, scores: null, groups: [] });
    return [...countsOf(aggregate, counted(1), { unit, mostWeight: 8 })];
  }

  const bits = fc.integer({ min: 4, max: 16 });
  // What float32 holds exactly, as it stands in an update.
  const unit = fc.integer({ min: 1, max: 2 ** 24 - 1 }).map((steps) => steps * 2 ** -20);
  const seed = fc.nat();
  const touching = (all: readonly Member[], row: number) => all.filter(({ touches }) => touches[row]).length;
  const weighing = (weight: fc.Arbitrary<number>) =>
    fc.array(
      fc.tuple(member, weight).map(([one, of]) => ({ ...one, weight: of })),
      { minLength: 3, maxLength: 16 },
    );

  test('are exact where all weights are equal, however few its bits (property)', () => {
    fc.assert(
      fc.property(bits, unit, weighing(fc.constant(8)), seed, (of, one, all, drawn) => {
        const counts = countsOn(of, one, all, drawn);
        expect(counts).toEqual(counts.map((_, row) => touching(all, row)));
      }),
    );
  });

  test('never say more groups than there are, and are off by less than a step for each, with other weights (property)', () => {
    fc.assert(
      fc.property(bits, unit, weighing(fc.integer({ min: 1, max: 8 })), seed, (of, one, all, drawn) => {
        for (const [row, count] of countsOn(of, one, all, drawn).entries()) {
          const touched = all.filter(({ touches }) => touches[row]);
          const weights = touched.reduce((sum, { weight }) => sum + weight / 8, 0);
          expect(count).toBeLessThanOrEqual(touched.length + 1e-6);
          expect(Math.abs(count - weights)).toBeLessThanOrEqual(touched.length / (2 ** (of - 1) - 1) + 1e-6);
        }
      }),
    );
  });
});
