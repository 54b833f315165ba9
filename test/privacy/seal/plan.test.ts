import { describe, expect, test } from 'vitest';
import { cipherPlan, noiseBound, roundingBound, smallBound } from '../../../src/privacy/seal/plan.ts';
import { MODULUS } from '../../../src/privacy/seal/ring.ts';

const WIDTHS = Array.from({ length: 32 }, (_, i) => i + 1);
const GROUPS = [1, 2, 3, 10, 100, 128, 129, 256, 1000, 1024, 4096, 20_000, 65_535, 65_536, 78_000];

/** Parts of a step that noise and rounding take, each at most 1. */
function parts(groups: number, floodBits: number, plaintextBits: number, bytes: number): number[] {
  const step = Number(MODULUS) / 2 ** plaintextBits;
  const rounding = groups * 2 ** (plaintextBits - 8 * bytes) * (bytes === 8 ? 2 : 1);
  return [Number(noiseBound(groups, floodBits)) / step, rounding];
}

describe('a plan', () => {
  test('for 23 bits and 128 groups has two slots and seven bytes: 3.5 bytes for each word', () => {
    expect(cipherPlan({ ringBits: 23, mostGroups: 128 })).toEqual({
      ringBits: 23,
      mostGroups: 128,
      slots: 2,
      floodBits: 52,
      bytes: 7,
    });
  });

  test.each(GROUPS)(
    'keeps noise and rounding within an eighth of a step each, and is the tightest: %d groups',
    (mostGroups) => {
      for (const ringBits of WIDTHS) {
        const plan = cipherPlan({ ringBits, mostGroups });
        expect(plan).not.toBeNull();
        const { slots, floodBits, bytes } = plan!;
        const bits = slots * ringBits;
        expect(bits).toBeGreaterThanOrEqual(12);
        expect(bits).toBeLessThanOrEqual(51);
        const [noise, rounding] = parts(mostGroups, floodBits, bits, bytes);
        expect(noise).toBeLessThanOrEqual(1 / 8);
        expect(rounding).toBeLessThanOrEqual(1 / 8);
        // One byte less is too few, and one slot more too many, even with all bytes.
        expect(parts(mostGroups, floodBits, bits, bytes - 1)[1]).toBeGreaterThan(1 / 8);
        const more = parts(mostGroups, floodBits, bits + ringBits, 8);
        expect(bits + ringBits > 51 || more.some((part) => part > 1 / 8)).toBe(true);
      }
    },
  );

  test('flooding noise is 2^40 times the bound of the rest, and as large as there is room for', () => {
    const wrong: number[] = [];
    for (let mostGroups = 1; mostGroups <= 65_536; mostGroups += mostGroups < 2000 ? 1 : 97) {
      const { floodBits, slots, bytes } = cipherPlan({ ringBits: 23, mostGroups })!;
      const [larger = 0] = parts(mostGroups, floodBits + 1, 23 * slots, bytes);
      const largest = floodBits === 53 || larger > 1 / 8;
      if (2 ** (floodBits - 40) < smallBound(mostGroups) || !largest) wrong.push(mostGroups);
    }
    expect(wrong).toEqual([]);
  });

  test('the bound of the small noise is nine deviations, rounded up', () => {
    expect(smallBound(1)).toBe(30); // 9 * 3.2404 = 29.16
    expect(smallBound(100)).toBe(292);
    expect(smallBound(128)).toBe(330);
    expect(noiseBound(128, 49)).toBe(2n ** 56n + 330n);
    expect(roundingBound(128, 7)).toBe(2n ** 15n);
    expect(roundingBound(128, 8)).toBe(256n);
  });

  test('does not exist where not one word fits', () => {
    // 2^53 is not enough to hide the noise of so many.
    expect(cipherPlan({ ringBits: 8, mostGroups: 80_000 })).toBeNull();
    expect(cipherPlan({ ringBits: 32, mostGroups: 2 ** 40 })).toBeNull();
  });

  test.each([
    { ringBits: 0, mostGroups: 2 },
    { ringBits: 33, mostGroups: 2 },
    { ringBits: 8.5, mostGroups: 2 },
    { ringBits: 23, mostGroups: 0 },
    { ringBits: 23, mostGroups: 1.5 },
  ])('%o breaks a promise', (options) => {
    expect(() => cipherPlan(options)).toThrow('invariant broken');
  });
});
