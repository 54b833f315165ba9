import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  composeRdp,
  DEFAULT_ORDERS,
  epsilonOf,
  rdpOfGaussian,
  rdpOfSampledGaussian,
  repeatRdp,
} from '../../../src/privacy/differential/rdp.ts';
import { analyticGaussianEpsilon } from './analytic-gaussian.ts';

const samplingRate = fc.double({ min: 1e-4, max: 0.99, noNaN: true });
const noiseMultiplier = fc.double({ min: 0.5, max: 20, noNaN: true });
const order = fc.double({ min: 1.05, max: 60, noNaN: true });

/** Orders of Opacus' RDPAccountant. */
const OPACUS_ORDERS = DEFAULT_ORDERS.filter((order) => order > 1.09 && order < 64);

/**
 * RDP of the sampled Gaussian as the integral that defines it (Mironov, Talwar, Zhang 2019, section 3), by the
 * trapezoid rule: for an analytic integrand on the whole line it converges faster than any power of the step.
 */
function integratedRdp(q: number, sigma: number, order: number): number {
  const logIntegrand = (z: number): number => {
    const [keep, swap] = [Math.log1p(-q), Math.log(q) + (2 * z - 1) / (2 * sigma * sigma)];
    const logMixture = Math.max(keep, swap) + Math.log1p(Math.exp(-Math.abs(keep - swap)));
    return order * logMixture - (z * z) / (2 * sigma * sigma) - Math.log(sigma * Math.sqrt(2 * Math.PI));
  };
  const step = sigma / 64;
  const points = Array.from(
    { length: Math.ceil((order + 26 * sigma) / step) },
    (_, i) => i * step - 13 * sigma,
  );
  const logs = points.map(logIntegrand);
  const largest = logs.reduce((most, value) => Math.max(most, value));
  const sum = logs.reduce((total, value) => total + Math.exp(value - largest), 0);
  return (largest + Math.log(sum * step)) / (order - 1);
}

describe('published figures', () => {
  test('Opacus: sigma 1.5, q 0.04, 2250 steps, delta 1e-5', () => {
    // opacus/tests/accountants_test.py expects 7.32911117143; the best order is 3.9.
    const orders = OPACUS_ORDERS;
    expect(orders).toHaveLength(99 + 52);
    const rdp = rdpOfSampledGaussian({ samplingRate: 0.04, noiseMultiplier: 1.5 }, orders);
    expect(epsilonOf({ orders, rdp: repeatRdp(rdp, 2250), delta: 1e-5 })).toBeCloseTo(7.32911117143, 9);
  });

  test('dp_accounting: q 0.01, sigma 2.5, 50 steps', () => {
    const rdp = rdpOfSampledGaussian({ samplingRate: 0.01, noiseMultiplier: 2.5 }, [5, 50, 100]);
    const [at5 = 0, at50 = 0, at100 = 0] = repeatRdp(rdp, 50);
    expect(at5.toExponential(8)).toBe('2.18075656e-3');
    expect(at50.toExponential(8)).toBe('2.38460375e-2');
    expect(at100.toPrecision(9)).toBe('167.416308');
  });

  test('TensorFlow Privacy: the same at the fractional orders 1.5 and 2.5', () => {
    const rdp = rdpOfSampledGaussian({ samplingRate: 0.01, noiseMultiplier: 2.5 }, [1.5, 2.5]);
    const [at15 = 0, at25 = 0] = repeatRdp(rdp, 50);
    expect(at15).toBeCloseTo(0.00065, 6);
    expect(at25).toBeCloseTo(0.001085, 6);
  });

  test('dp_accounting: a Gaussian of sigma 4.530877117 is (1, 1e-6)-DP', () => {
    // The test there takes the orders 1.001 to 99.999 in steps of 0.001; the best is 21.985.
    const orders = Array.from({ length: 98_999 }, (_, index) => (1001 + index) / 1000);
    const rdp = rdpOfGaussian(4.530877117, orders);
    expect(epsilonOf({ orders, rdp, delta: 1e-6 }).toFixed(9)).toBe('1.000000000');
    const coarse = rdpOfGaussian(4.530877117, DEFAULT_ORDERS);
    expect(epsilonOf({ orders: DEFAULT_ORDERS, rdp: coarse, delta: 1e-6 }) - 1).toBeLessThan(1e-6);
  });
});

describe('rdpOfSampledGaussian', () => {
  // mpmath 1.3.0, adaptive quadrature of the integral at 25 digits.
  test.each([
    [0.04, 1.5, 3.7, 0.001729812490005439],
    [0.2, 0.8, 2.3, 0.1907628098915243],
    [0.5, 3, 7.5, 0.1283552559208948],
    [0.001, 1, 20, 2.728684546007759],
    [0.3, 1.1, 1.1, 0.04955145195658845],
    [0.9, 2, 1.3, 0.132657333227163],
    [0.9, 2, 30, 3.641088015673623],
    [0.0001, 5, 1.7, 3.468911501251418e-10],
    [0.04, 4, 64, 0.00396367124604127],
    [0.1, 0.5, 9.9, 17.23869748082685],
  ])('q %d, sigma %d, order %d', (samplingRate, noiseMultiplier, order, expected) => {
    const [rdp = 0] = rdpOfSampledGaussian({ samplingRate, noiseMultiplier }, [order]);
    expect(Math.abs(rdp - expected)).toBeLessThan(1e-13 / (order - 1) + 1e-12 * expected);
  });

  test('is the integral that defines it', () => {
    fc.assert(
      fc.property(samplingRate, noiseMultiplier, order, (q, sigma, order) => {
        const [rdp = 0] = rdpOfSampledGaussian({ samplingRate: q, noiseMultiplier: sigma }, [order]);
        const integral = integratedRdp(q, sigma, order);
        expect(Math.abs(rdp - integral)).toBeLessThan(1e-12 / (order - 1) + 1e-9 * integral);
      }),
      { numRuns: 60 },
    );
  });

  test('grows with the order and the rate, falls with the noise, and is below the unsampled one', () => {
    const orders = [1.1, 1.5, 2, 2.5, 3, 8, 8.5, 32, 200];
    fc.assert(
      fc.property(samplingRate, noiseMultiplier, (q, sigma) => {
        const at = (samplingRate: number, noiseMultiplier: number) =>
          rdpOfSampledGaussian({ samplingRate, noiseMultiplier }, orders);
        const [rdp, rarer, noisier, full] = [
          at(q, sigma),
          at(q * 0.9, sigma),
          at(q, sigma * 1.1),
          at(1, sigma),
        ];
        rdp.forEach((value, i) => {
          const slack = 1e-13 / (orders[i]! - 1);
          if (i > 0) expect(value).toBeGreaterThanOrEqual(rdp[i - 1]! - slack);
          expect(value).toBeLessThanOrEqual(full[i]! + slack);
          expect(rarer[i]).toBeLessThanOrEqual(value + slack);
          expect(noisier[i]).toBeLessThanOrEqual(value + slack);
        });
      }),
      { numRuns: 50 },
    );
  });

  test('stays finite where A itself leaves the doubles', () => {
    const [rdp = 0] = rdpOfSampledGaussian({ samplingRate: 0.01, noiseMultiplier: 0.1 }, [1000]);
    expect(rdp).toBeCloseTo(1000 / (2 * 0.01) + (1000 * Math.log(0.01)) / 999, 0);
  });

  test.each([
    [0, 1, 2],
    [1.5, 1, 2],
    [0.5, 0, 2],
    [0.5, Number.NaN, 2],
    [0.5, 1, 1],
    [0.5, 1, Number.POSITIVE_INFINITY],
  ])('refuses q %d, sigma %d, order %d', (samplingRate, noiseMultiplier, order) => {
    expect(() => rdpOfSampledGaussian({ samplingRate, noiseMultiplier }, [order])).toThrow(
      expect.objectContaining({ code: 'INTERNAL' }),
    );
  });
});

describe('composition', () => {
  test('adds at each order', () => {
    expect(composeRdp([1, 2], [0.5, 4], [0, 1])).toEqual([1.5, 7]);
    expect(repeatRdp([1, 2], 3)).toEqual([3, 6]);
  });
});

describe('epsilonOf', () => {
  const ofGaussian = (sigma: number, delta: number, orders = DEFAULT_ORDERS) =>
    epsilonOf({ orders, rdp: rdpOfGaussian(sigma, orders), delta });

  test('is never below the exact epsilon of a Gaussian, and not far above it', () => {
    const noise = fc.double({ min: 0.05, max: 60, noNaN: true });
    fc.assert(
      fc.property(noise, fc.double({ min: 2, max: 10, noNaN: true }), (sigma, digits) => {
        const delta = 10 ** -digits;
        const epsilon = ofGaussian(sigma, delta);
        const exact = analyticGaussianEpsilon(sigma, delta);
        expect(epsilon).toBeGreaterThan(exact);
        expect(epsilon).toBeLessThan(exact * 1.35 + 0.03);
      }),
    );
  });

  test('falls with the noise and with delta', () => {
    expect(ofGaussian(2, 1e-6)).toBeGreaterThan(ofGaussian(2.01, 1e-6));
    expect(ofGaussian(2, 1e-6)).toBeGreaterThan(ofGaussian(2, 1.1e-6));
  });

  test('the default orders cost less than 0.5 % against all orders, for epsilon 0.05 to 100', () => {
    const dense = Array.from({ length: 20_000 }, (_, i) => 1 + 10 ** (-2.5 + (i * 6.5) / 20_000));
    for (let sigma = 0.08; sigma < 100; sigma *= 1.1) {
      const loss = ofGaussian(sigma, 1e-6) / ofGaussian(sigma, 1e-6, dense);
      expect(loss, `sigma ${sigma}`).toBeLessThan(1.005);
    }
  });

  test('is 0 for a delta that covers everything, and infinite where no order has a bound', () => {
    expect(epsilonOf({ orders: [2], rdp: [0.01], delta: 0.9 })).toBe(0);
    expect(epsilonOf({ orders: [2], rdp: [Number.POSITIVE_INFINITY], delta: 0.1 })).toBe(
      Number.POSITIVE_INFINITY,
    );
  });

  test.each([0, 1, -1, Number.NaN])('refuses delta %d', (delta) => {
    expect(() => epsilonOf({ orders: [2], rdp: [1], delta })).toThrow(
      expect.objectContaining({ code: 'INTERNAL' }),
    );
  });
});
