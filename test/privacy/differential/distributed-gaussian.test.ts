import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { randomStream } from '../../../src/core/random.ts';
import {
  concentratedEpsilon,
  rdpOfNoisySum,
  roundedNormBound,
  shapeGap,
} from '../../../src/privacy/differential/distributed-gaussian.ts';
import { DEFAULT_ORDERS, rdpOfGaussian } from '../../../src/privacy/differential/rdp.ts';

/** Probabilities of -reach to reach, index 0 for -reach. */
type Probabilities = Float64Array;

function discreteGaussian(sigma: number, reach: number): Probabilities {
  const weights = Float64Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-((i - reach) ** 2) / (2 * sigma ** 2)),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Distribution of the sum of two independent integers, cut to the reach of the first. */
function convolved(a: Probabilities, b: Probabilities): Probabilities {
  const reach = (a.length - 1) / 2;
  return a.map((_, k) => b.reduce((sum, weight, j) => sum + weight * (a[k - j + reach] ?? 0), 0));
}

/** Distribution of the sum of `shares` discrete Gaussians, as far out as doubles can tell it from 0. */
function summedNoise(sigma: number, shares: number): Probabilities {
  const reach = Math.floor(sigma * Math.sqrt(shares) * 34);
  const single = discreteGaussian(sigma, reach);
  return Array.from({ length: shares - 1 }).reduce<Probabilities>((sum) => convolved(sum, single), single);
}

/** Renyi divergence of a distribution shifted by `shift` from itself, by summation. */
function shiftedDivergence(noise: Probabilities, shift: number, order: number): number {
  let sum = 0;
  for (let x = shift; x < noise.length; x++) {
    const [p, q] = [noise[x - shift]!, noise[x]!];
    if (p > 1e-290 && q > 1e-290) sum += Math.exp(order * Math.log(p) + (1 - order) * Math.log(q));
  }
  return Math.log(sum) / (order - 1);
}

describe('rdpOfNoisySum against exact divergences', () => {
  // [sigma, shares, shift]: one number, moved by `shift`.
  test.each([
    [0.5, 1, 1],
    [0.5, 2, 1],
    [0.5, 3, 2],
    [0.5, 10, 1],
    [0.55, 4, 1],
    [0.6, 2, 1],
    [0.6, 5, 3],
    [0.7, 3, 1],
    [0.8, 8, 2],
    [1, 2, 1],
    [1.3, 5, 4],
  ])('sigma %d, %d shares, shift %d: no order has more', (localSigma, honestSurvivors, sensitivity) => {
    const noise = summedNoise(localSigma, honestSurvivors);
    const orders = [1.01, 1.1, 1.5, 2, 3, 4, 6, 8];
    const bounds = rdpOfNoisySum({ localSigma, honestSurvivors, sensitivity, dimension: 1 }, orders);
    const epsilon = concentratedEpsilon({ localSigma, honestSurvivors, sensitivity, dimension: 1 });
    orders.forEach((order, i) => {
      const exact = shiftedDivergence(noise, sensitivity, order);
      expect(exact, `order ${order}`).toBeLessThanOrEqual(bounds[i]! * (1 + 1e-9));
      expect(bounds[i]).toBeLessThanOrEqual((order * epsilon ** 2) / 2 + 1e-12);
      // From sigma 1 on the shape hardly matters: the bound is not a loose one.
      if (localSigma >= 1) expect(bounds[i]! / exact).toBeLessThan(1.02);
    });
  });

  test.each([
    [0.5, 2],
    [0.6, 4],
    [0.8, 3],
  ])(
    'sigma %d, %d shares, all of 25 numbers moved by 1: divergences of numbers add',
    (localSigma, shares) => {
      const dimension = 25;
      const noise = summedNoise(localSigma, shares);
      const sum = { localSigma, honestSurvivors: shares, sensitivity: Math.sqrt(dimension), dimension };
      const orders = [1.1, 2, 5];
      rdpOfNoisySum(sum, orders).forEach((bound, i) => {
        expect(dimension * shiftedDivergence(noise, 1, orders[i]!)).toBeLessThanOrEqual(bound * (1 + 1e-9));
      });
    },
  );

  test('a smaller gap would be wrong: tau is needed at small sigma', () => {
    const noise = summedNoise(0.5, 2);
    const gaussian = 4 / (2 * 2 * 0.25);
    expect(shiftedDivergence(noise, 1, 4)).toBeGreaterThan(gaussian);
  });
});

describe('rdpOfNoisySum', () => {
  test('is that of one Gaussian where tau is negligible', () => {
    const sum = { localSigma: 4, honestSurvivors: 9, sensitivity: 6, dimension: 100_000 };
    const expected = rdpOfGaussian(2, DEFAULT_ORDERS);
    rdpOfNoisySum(sum, DEFAULT_ORDERS).forEach((rdp, i) => {
      expect(rdp / expected[i]!).toBeCloseTo(1, 9);
    });
  });

  test('is exactly that of one discrete Gaussian for one share', () => {
    expect(shapeGap(0.5, 1)).toBe(0);
    const sum = { localSigma: 0.5, honestSurvivors: 1, sensitivity: 1, dimension: 1_000_000 };
    expect(rdpOfNoisySum(sum, [2, 7])).toEqual([4, 14]);
  });

  test('falls with noise and shares, grows with sensitivity and dimension', () => {
    const noise = fc.double({ min: 0.5, max: 3, noNaN: true });
    const positive = fc.integer({ min: 1, max: 50 });
    fc.assert(
      fc.property(noise, positive, positive, positive, (localSigma, shares, sensitivity, dimension) => {
        const sum = { localSigma, honestSurvivors: shares, sensitivity, dimension };
        const [rdp = 0] = rdpOfNoisySum(sum, [3]);
        const [quieter = 0] = rdpOfNoisySum({ ...sum, localSigma: localSigma + 0.1 }, [3]);
        const [moved = 0] = rdpOfNoisySum({ ...sum, sensitivity: sensitivity + 1 }, [3]);
        const [longer = 0] = rdpOfNoisySum({ ...sum, dimension: dimension + 1 }, [3]);
        expect(quieter).toBeLessThan(rdp);
        expect(moved).toBeGreaterThan(rdp);
        expect(longer).toBeGreaterThanOrEqual(rdp);
        expect(rdp).toBeLessThanOrEqual((3 * concentratedEpsilon(sum) ** 2) / 2 + 1e-12);
      }),
    );
  });

  test.each([
    { localSigma: 0.49 },
    { honestSurvivors: 0 },
    { honestSurvivors: 1.5 },
    { sensitivity: 0 },
    { dimension: 0 },
    { localSigma: Number.NaN },
  ])('refuses %o', (change) => {
    const sum = { localSigma: 1, honestSurvivors: 2, sensitivity: 1, dimension: 3, ...change };
    expect(() => rdpOfNoisySum(sum, [2])).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });
});

describe('roundedNormBound', () => {
  // tensorflow_federated/python/aggregators/discretization_test.py: norm 1, dimension 1e9, steps of gamma.
  test.each([
    [1e-9, 0, 1.0000316227766017],
    [1e-2, 0, 317.2277660168379],
    [1e-9, 0.01, 1.000000001642451],
    [1e-2, 0.01, 158.13231445360802],
    [1e-9, 0.5, 1.0000000007137142],
    [1e-2, 0.5, 158.12296930808552],
  ])('published: gamma %d, beta %d', (gamma, beta, expected) => {
    const bound = roundedNormBound({ clipSteps: 1 / gamma, dimension: 1e9, beta });
    expect((bound * gamma) / expected).toBeCloseTo(1, 12);
  });

  test.each([
    ['dense', 400, 12, 0.6],
    ['sparse', 400, 3, 0.6],
    ['long', 5000, 20, 0.3],
  ])(
    'holds for all but beta of the roundings of a %s vector (2000 draws)',
    (_, dimension, clipSteps, beta) => {
      const random = randomStream(5, 'rounding', dimension, clipSteps);
      const direction = Array.from({ length: dimension }, () => random.normal());
      const scale = clipSteps / Math.hypot(...direction);
      const bound = roundedNormBound({ clipSteps, dimension, beta });
      const always = roundedNormBound({ clipSteps, dimension, beta: 0 });
      let above = 0;
      for (let draw = 0; draw < 2000; draw++) {
        const norm = Math.hypot(...direction.map((x) => Math.floor(x * scale + random.uniform())));
        expect(norm).toBeLessThanOrEqual(always);
        if (norm > bound) above++;
      }
      expect(above / 2000).toBeLessThanOrEqual(beta);
      expect(bound).toBeLessThan(always);
    },
  );

  test.each([{ beta: 1 }, { beta: -0.1 }, { dimension: 0 }, { clipSteps: 0 }, { clipSteps: Number.NaN }])(
    'refuses %o',
    (change) => {
      expect(() => roundedNormBound({ clipSteps: 1, dimension: 2, beta: 0.5, ...change })).toThrow(
        expect.objectContaining({ code: 'INTERNAL' }),
      );
    },
  );
});
