import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { spreadApart } from '../../src/report/plots/spread.ts';

const positions = fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 1, maxLength: 12 });
const SLACK = 1e-9;

describe('spreading labels', () => {
  it('leaves positions alone that are far enough apart', () => {
    expect(spreadApart([50, 10, 90], 5, 0, 100)).toEqual([50, 10, 90]);
  });

  it('moves a pair by the same amount each way', () => {
    expect(spreadApart([50, 50], 10, 0, 100)).toEqual([45, 55]);
  });

  it('keeps the gap, the order and the room', () => {
    fc.assert(
      fc.property(positions, fc.double({ min: 0, max: 8, noNaN: true }), (values, gap) => {
        const moved = spreadApart(values, gap, 0, 100);
        const pairs = values.map((value, i) => ({ value, place: moved[i] ?? Number.NaN }));
        const inPlace = [...pairs].sort((a, b) => a.place - b.place);
        for (const { place } of pairs) {
          expect(place).toBeGreaterThanOrEqual(-SLACK);
          expect(place).toBeLessThanOrEqual(100 + SLACK);
        }
        inPlace.slice(1).forEach(({ value, place }, i) => {
          const before = inPlace[i];
          expect(place - (before?.place ?? 0)).toBeGreaterThanOrEqual(gap - SLACK);
          expect(value).toBeGreaterThanOrEqual(before?.value ?? 0);
        });
      }),
    );
  });

  it('shares the room evenly where it does not suffice', () => {
    expect(spreadApart([1, 2, 3], 100, 0, 10)).toEqual([0, 5, 10]);
  });
});
