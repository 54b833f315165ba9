import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { learningRateAt, SCHEDULES, type ScheduleOptions } from '../../src/training/schedule.ts';

const RATE = 0.5;

function ratesOf(total: number, options: Partial<ScheduleOptions>): number[] {
  const all = {
    schedule: 'constant' as const,
    learningRate: RATE,
    warmupSteps: 0,
    cosineSteps: null,
    ...options,
  };
  return Array.from({ length: total }, (_, step) => learningRateAt(step, total, all));
}

/** Signs of the steps of a sequence. */
const directions = (rates: readonly number[]) => rates.slice(1).map((rate, i) => Math.sign(rate - rates[i]!));

describe('learningRateAt', () => {
  test('constant is constant, whatever else is set', () => {
    expect(new Set(ratesOf(50, { warmupSteps: 10, cosineSteps: 5 }))).toEqual(new Set([RATE]));
  });

  test('cosine falls from the full rate, through half of it in the middle, towards 0', () => {
    const rates = ratesOf(100, { schedule: 'cosine', warmupSteps: 20 });
    expect(rates[0]).toBe(RATE);
    expect(rates[50]).toBeCloseTo(RATE / 2, 12);
    expect(rates[99]).toBeLessThan(0.001 * RATE);
    expect(rates[99]).toBeGreaterThan(0);
    expect(new Set(directions(rates))).toEqual(new Set([-1]));
  });

  test('a cosine shorter than the run rises again, as in the code published with the paper', () => {
    const rates = ratesOf(600, { schedule: 'cosine', cosineSteps: 100 });
    for (const [step, fraction] of [
      [0, 1],
      [50, 0.5],
      [100, 0],
      [150, 0.5],
      [200, 1],
      [300, 0],
      [400, 1],
    ] as const) {
      expect(rates[step]).toBeCloseTo(fraction * RATE, 12);
    }
    expect(new Set(directions(rates.slice(0, 101)))).toEqual(new Set([-1]));
    expect(new Set(directions(rates.slice(100, 201)))).toEqual(new Set([1]));
  });

  test('warm-up rises in equal steps to the full rate, then the cosine falls to the end of the run', () => {
    const rates = ratesOf(110, { schedule: 'warmup-cosine', warmupSteps: 10 });
    expect(rates.slice(0, 10)).toEqual(Array.from({ length: 10 }, (_, step) => (RATE * (step + 1)) / 10));
    expect(rates[10]).toBe(RATE);
    expect(rates[60]).toBeCloseTo(RATE / 2, 12);
    expect(new Set(directions(rates.slice(10)))).toEqual(new Set([-1]));
  });

  test('a warm-up longer than the run never falls', () => {
    const rates = ratesOf(5, { schedule: 'warmup-cosine', warmupSteps: 50 });
    expect(rates).toEqual([0.2, 0.4, 0.6, 0.8, 1].map((fraction) => fraction * RATE));
  });

  test('the rate is between 0 and its largest (property)', () => {
    const options = fc.record<ScheduleOptions>({
      schedule: fc.constantFrom(...SCHEDULES),
      learningRate: fc.constant(RATE),
      warmupSteps: fc.nat(30),
      cosineSteps: fc.option(fc.integer({ min: 1, max: 40 })),
    });
    fc.assert(
      fc.property(options, fc.integer({ min: 1, max: 60 }), (given, total) => {
        for (const rate of ratesOf(total, given)) expect(rate >= 0 && rate <= RATE).toBe(true);
      }),
    );
  });
});
