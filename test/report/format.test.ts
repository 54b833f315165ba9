import { describe, expect, it } from 'vitest';
import {
  ABSENT,
  formatCount,
  formatDifference,
  formatInstant,
  formatScore,
  formatSeconds,
  formatShare,
  plural,
} from '../../src/report/format.ts';

describe('figures as the report writes them', () => {
  it('gives scores three decimals', () => {
    expect(formatScore(0.8644999)).toBe('0.864');
    expect(formatScore(1)).toBe('1.000');
    expect(formatScore(undefined)).toBe(ABSENT);
  });

  it('signs differences with a true minus, and neither way when they round to nothing', () => {
    expect(formatDifference(0.0124)).toBe('+0.012');
    expect(formatDifference(-0.0124)).toBe('−0.012');
    expect(formatDifference(-0.0004)).toBe('±0.000');
  });

  it.each([
    [0, '0 ms'],
    [0.31, '310 ms'],
    [0.9996, '1.0 s'],
    [59.94, '59.9 s'],
    [59.97, '1 min 00 s'],
    [184.34, '3 min 04 s'],
    [3599.6, '1 h 00 min'],
    [7380, '2 h 03 min'],
  ])('writes %d seconds as %s', (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });

  it('writes counts, shares and instants', () => {
    expect(formatCount(1188354)).toBe('1,188,354');
    expect(formatShare(0.3346)).toBe('33.5%');
    expect(formatInstant('2026-03-01T11:30:59.000+02:00')).toBe('2026-03-01 09:30 UTC');
    expect(plural(1, 'group')).toBe('1 group');
    expect(plural(1200, 'group')).toBe('1,200 groups');
  });
});
