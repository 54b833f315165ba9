import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatBytes } from '../../src/core/bytes.ts';

/** Plain scripts, without types for this project's compiler: they are checked by page-assets.test.ts. */
const part = (name: string) => import(new URL(`../../src/server/page/${name}`, import.meta.url).href);
const { ago, bytes, duration, shortened } = await part('format.js');
const { niceStep, roundAxis, valueAxis } = await part('scale.js');

const SECOND = 1000;
const HOUR = 3600 * SECOND;

const { missingScores } = await part('known.js');

test('scores that the aggregator cannot know are not spoken of as if they were to come', () => {
  expect(missingScores('clear')).toEqual({ note: 'no scores yet', sentence: null });
  const { note, sentence } = missingScores('ciphertext');
  expect(note).toBe('not known to the aggregator');
  expect(sentence).toContain('holds ciphertext only');
});

describe('figures in words', () => {
  test('bytes are counted as the command line counts them', () => {
    const counts = fc.oneof(fc.nat(2000), fc.maxSafeNat());
    fc.assert(
      fc.property(counts, (count) => {
        expect(bytes(count)).toBe(formatBytes(count));
      }),
    );
  });

  test.each([
    [0, '0 s'],
    [59_400, '59 s'],
    [59_600, '1 min 00 s'],
    [252 * SECOND, '4 min 12 s'],
    [2 * HOUR + 180 * SECOND, '2 h 03 min'],
    [76 * HOUR, '3 d 04 h'],
    [-5 * SECOND, '0 s'],
  ])('%i ms is %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });

  test.each([
    [-HOUR, 'just now'],
    [4 * SECOND, 'just now'],
    [42 * SECOND, '42 s ago'],
    [61 * SECOND, '1 min ago'],
    [47 * HOUR, '47 h ago'],
    [49 * HOUR, '2 d ago'],
  ])('%i ms before is %s', (ms, text) => {
    expect(ago(1e12, 1e12 + ms)).toBe(text);
  });

  test('a text keeps its bound and is cut between characters', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 40 });
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 30 }), (whole, most) => {
        const short: string = shortened(whole, most);
        expect([...short].length).toBeLessThanOrEqual(most);
        if (short !== whole) expect(whole.startsWith(short.slice(0, -1))).toBe(true);
        expect(short === whole).toBe([...whole].length <= most);
      }),
    );
  });
});

describe('axes', () => {
  const LIMITS = { span: 0.04, floor: 0, ceiling: 1 };

  test('hold every value, end at ticks, and keep to a few of them', () => {
    const score = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.array(score, { minLength: 1, maxLength: 50 }), (values) => {
        const { low, high, ticks } = valueAxis(values, LIMITS);
        expect(low).toBeLessThanOrEqual(Math.min(...values) + 1e-9);
        expect(high).toBeGreaterThanOrEqual(Math.max(...values) - 1e-9);
        expect(high - low).toBeGreaterThanOrEqual(LIMITS.span / 2 - 1e-9);
        expect([ticks[0], ticks.at(-1)]).toEqual([low, high]);
        expect(ticks.length).toBeLessThanOrEqual(8);
      }),
    );
  });

  test('do not leave the range that a score can have', () => {
    expect(valueAxis([0.999, 1], LIMITS).high).toBe(1);
    expect(valueAxis([0, 0.001], LIMITS).low).toBe(0);
  });

  test('are drawn also for one value, for none, and for what is no number', () => {
    for (const values of [[0.5], [], [Number.NaN]]) {
      const { low, high } = valueAxis(values, LIMITS);
      expect(high).toBeGreaterThan(low);
    }
  });

  test('of rounds hold the last round and do not pass the end of the run', () => {
    const rounds = fc.integer({ min: 1, max: 5000 });
    fc.assert(
      fc.property(rounds, fc.nat(5000), fc.integer({ min: 1, max: 15 }), (all, last, room) => {
        const { high, ticks } = roundAxis(Math.min(last, all), all, room);
        expect(high).toBeGreaterThanOrEqual(Math.min(last, all));
        expect(high).toBeLessThanOrEqual(all);
        expect(ticks.every(Number.isInteger)).toBe(true);
        expect(ticks.length).toBeLessThanOrEqual(room + 1);
      }),
    );
  });

  test('of rounds move seldom', () => {
    const ends = Array.from({ length: 100 }, (_, i) => roundAxis(i + 1, 1000, 10).high);
    expect([...new Set(ends)]).toEqual([10, 20, 50, 100]);
  });

  test('step by 1, 2 or 5', () => {
    expect([0.9, 1, 1.1, 3, 7, 0.05].map(niceStep)).toEqual([1, 1, 2, 5, 10, 0.05]);
  });
});
