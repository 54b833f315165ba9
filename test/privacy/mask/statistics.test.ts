import { describe, expect, test } from 'vitest';
import { randomStream } from '../../../src/core/random.ts';
import { selfMaskKey, selfSecretOf } from '../../../src/privacy/mask/keys.ts';
import { SCALAR_WORDS } from '../../../src/privacy/scalars.ts';
import { addMask } from '../../../src/privacy/secure-sum/expand.ts';
import { packWords } from '../../../src/privacy/secure-sum/packing.ts';
import type { Update } from '../../../src/wire/stages.ts';
import { Cast, namesOf, wordsInClear } from '../../support/attacks.ts';
import { contextOf, updateOf } from '../../support/protected-round.ts';

/**
 * Masked vectors look like noise, whatever they hide. All seeds are fixed, so that each statistic is one number; bounds are such
 * that noise would exceed one of them once in ten thousand.
 */

const COUNT = 2 ** 17;
/** Of a standard normal deviate, two-sided. */
const MOST_DEVIATIONS = 3.89;
/** Of chi-square with 255 degrees of freedom (Wilson-Hilferty). */
const MOST_CHI_SQUARE = 255 * (1 - 2 / (9 * 255) + 3.72 * Math.sqrt(2 / (9 * 255))) ** 3;

const GROUPS = namesOf(4);

/** A round in which each group has an update of the test's choice. */
class Chosen extends Cast {
  readonly #deltas: ReadonlyMap<string, Float32Array>;

  constructor(deltas: readonly Float32Array[], round = 3) {
    super(GROUPS, { context: contextOf(COUNT, { round }) });
    this.#deltas = new Map(GROUPS.map((name, index) => [name, deltas[index % deltas.length]!]));
    this.collect();
  }

  override updateOf(group: string): Update {
    return updateOf(group, 100, this.#deltas.get(group)!, { round: this.context.round });
  }

  /** What a group sends. */
  sent(group: string): Uint32Array {
    return this.masked(this.uploads.get(group)!);
  }

  /** What the aggregator holds of it when the self masks are off. */
  withoutSelf(group: string): Uint32Array {
    const roster = this.rosterOf(group);
    const words = this.sent(group);
    const { secret } = this.member(group).heard.setup;
    addMask(words, selfMaskKey(selfSecretOf(secret, roster), roster, group), -1);
    return this.ring(words);
  }
}

/** Chi-square of the bytes of packed words against the uniform distribution. */
function chiSquare(words: Uint32Array, bits: number): number {
  const bytes = packWords(words, bits);
  const seen = new Float64Array(256);
  for (const byte of bytes) seen[byte]!++;
  const expected = bytes.length / 256;
  return seen.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

/** By how many standard deviations the mean is off that of uniform words. */
function meanDeviations(words: Uint32Array, bits: number): number {
  const sum = words.reduce((total, word) => total + word / 2 ** bits, 0);
  return (sum / words.length - 0.5) * Math.sqrt(12 * words.length);
}

function correlation(one: Uint32Array, other: Uint32Array, bits: number): number {
  // As numbers with a sign, so that small ones of both signs lie together.
  const signed = (words: Uint32Array) => Array.from(words, (word) => (word << (32 - bits)) >> (32 - bits));
  const [a, b] = [signed(one), signed(other)];
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += (a[i]! - meanA) * (b[i]! - meanB);
    aa += (a[i]! - meanA) ** 2;
    bb += (b[i]! - meanB) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

const zeros = new Float32Array(COUNT);
const large = new Float32Array(COUNT).fill(0.9);
const random = randomStream(5, 'statistics');
const some = Float32Array.from({ length: COUNT }, () => random.normal() / 4);
const alike = some.map((value) => 0.9 * value + random.normal() / 40);

const { settings } = new Cast(GROUPS);
const bits = settings.grid.ringBits;
const inClear = (delta: Float32Array, round = 3) =>
  new Cast(GROUPS).ring(wordsInClear(updateOf('g00', 100, delta, { round }), settings));

function expectUniform(words: Uint32Array) {
  expect(chiSquare(words, bits)).toBeLessThan(MOST_CHI_SQUARE);
  expect(Math.abs(meanDeviations(words, bits))).toBeLessThan(MOST_DEVIATIONS);
}
function expectUnrelated(one: Uint32Array, other: Uint32Array) {
  expect(Math.abs(correlation(one, other, bits)) * Math.sqrt(one.length)).toBeLessThan(MOST_DEVIATIONS);
}

describe('the same statistics tell updates in clear', () => {
  test.each([
    ['nothing but zeros', zeros],
    ['one large number', large],
    ['random numbers', some],
  ])('%s: bytes and mean are far from uniform', (_name, delta) => {
    const words = inClear(delta);
    expect(chiSquare(words, bits)).toBeGreaterThan(100 * MOST_CHI_SQUARE);
    if (delta !== some) expect(Math.abs(meanDeviations(words, bits))).toBeGreaterThan(100 * MOST_DEVIATIONS);
  });

  test('updates that are alike, and one update in two rounds, correlate', () => {
    expect(correlation(inClear(some), inClear(alike), bits)).toBeGreaterThan(0.9);
    expect(correlation(inClear(some, 3), inClear(some, 4), bits)).toBeGreaterThan(0.99);
  });
});

describe(`masked, ${COUNT} words each`, () => {
  const round = new Chosen([zeros, large, some, alike]);
  const later = new Chosen([zeros, large, some, alike], 4);

  test.each(GROUPS)('the upload of %s is uniform, in either round', (group) => {
    expectUniform(round.sent(group));
    expectUniform(later.sent(group));
  });

  test('uploads of one round do not correlate, though the updates do, nor do they with what they hide', () => {
    for (const one of GROUPS) {
      for (const other of GROUPS) if (one < other) expectUnrelated(round.sent(one), round.sent(other));
    }
    expectUnrelated(round.sent('g02'), round.clearWords('g02'));
    expectUnrelated(round.sent('g03'), round.clearWords('g02'));
  });

  test('uploads of the same update in two rounds do not correlate', () => {
    for (const group of GROUPS) expectUnrelated(round.sent(group), later.sent(group));
  });

  test('the difference of two uploads is uniform, in one round and over two', () => {
    const less = (one: Uint32Array, other: Uint32Array) => round.ring(one.map((word, i) => word - other[i]!));
    for (const other of GROUPS.slice(1)) expectUniform(less(round.sent('g00'), round.sent(other)));
    for (const group of GROUPS) expectUniform(less(round.sent(group), later.sent(group)));
  });

  test('so is each of them without its own mask, which the aggregator learns; only the sum of all is in clear', () => {
    const opened = GROUPS.map((name) => round.withoutSelf(name));
    for (const words of opened) expectUniform(words);
    const sum = (all: readonly Uint32Array[]) =>
      round.ring(all.reduce((total, words) => total.map((word, i) => word + words[i]!)));
    for (let left = 0; left < opened.length; left++) expectUniform(sum(opened.toSpliced(left, 1)));
    expect(sum(opened)).toEqual(sum(GROUPS.map((name) => round.clearWords(name))));
    expect(chiSquare(sum(opened), bits)).toBeGreaterThan(100 * MOST_CHI_SQUARE);
  });
});

describe('stochastic rounding', () => {
  /** Of a step: what the mean of this many numbers, each off by less than a step, may be off by. */
  const most = (count: number) => (MOST_DEVIATIONS * 0.5) / Math.sqrt(count);
  const { step } = settings.grid;

  test.each([0.01, 0.25, 0.5, 0.75, 0.99])(
    'of %d of a step is unbiased, on either side of zero',
    (fraction) => {
      for (const whole of [-3, -1, 0, 2]) {
        const value = ((whole + fraction) * step) / 100;
        const delta = new Float32Array(COUNT).fill(value);
        // What float32 makes of it is what is to be rounded.
        const exact = (delta[0]! * 100) / step;
        const words = wordsInClear(updateOf('g00', 100, delta), settings).subarray(SCALAR_WORDS);
        const mean = words.reduce((sum, word) => sum + (word | 0), 0) / COUNT;
        expect(Math.abs(mean - exact)).toBeLessThan(most(COUNT));
        expect(new Set(words).size).toBe(2);
      }
    },
  );

  test('of one update is unbiased over rounds, number by number and together', () => {
    const rounds = 200;
    const delta = some.slice(0, 500);
    const off = new Float64Array(delta.length);
    for (let round = 1; round <= rounds; round++) {
      const words = wordsInClear(updateOf('g00', 100, delta, { round }), settings).subarray(SCALAR_WORDS);
      words.forEach((word, i) => {
        off[i]! += ((word | 0) - (delta[i]! * 100) / step) / rounds;
      });
    }
    const together = off.reduce((sum, each) => sum + each, 0) / off.length;
    expect(Math.abs(together)).toBeLessThan(most(rounds * off.length));
    // 500 of them: once in ten thousand for all together is 5.2 deviations for each.
    for (const each of off) expect(Math.abs(each)).toBeLessThan((5.2 * 0.5) / Math.sqrt(rounds));
  });
});
