import { createCipheriv } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { addCiphertext, emptySum, encrypt } from '../../../src/privacy/seal/ciphertext.ts';
import { noiseBound, roundingBound, smallBound } from '../../../src/privacy/seal/plan.ts';
import { addInto, DEGREE, MODULUS, zeroElement } from '../../../src/privacy/seal/ring.ts';
import { emptyNoise, noiseSource, uniformElement } from '../../../src/privacy/seal/sample.ts';
import { loadRing, type SealRing } from '../../../src/privacy/seal/seal-ring.ts';
import { coefficientsOf, keyOf, planFor, SEED } from './helpers.ts';

let ring: SealRing;

beforeAll(async () => {
  ring = await loadRing();
});

const CIRCLE = 2n ** 64n;

function sizeOf(value: bigint): bigint {
  return value < 0n ? -value : value;
}

function largestOf(values: readonly bigint[]): bigint {
  return values.reduce((most, value) => (sizeOf(value) > most ? sizeOf(value) : most), 0n);
}

/** The first polynomial's noise of a key, exactly. */
function noiseOf(key: Uint8Array, floodBits: number): bigint[] {
  const noise = emptyNoise();
  noiseSource(key, floodBits)(noise);
  return Array.from(noise.high, (high, i) => BigInt(high) * 2n ** 26n + BigInt(noise.low[i]!));
}

/** The small part of the same, from the bytes of the cipher: bits set in two times 21. */
function smallOf(key: Uint8Array): number[] {
  const stream = createCipheriv('aes-256-ctr', key, new Uint8Array(16)).update(new Uint8Array(16 * DEGREE));
  const ones = (word: number) => (word % 2 ** 21).toString(2).replaceAll('0', '').length;
  return Array.from(
    { length: DEGREE },
    (_, i) => ones(stream.readUInt32LE(16 * i)) - ones(stream.readUInt32LE(16 * i + 4)),
  );
}

describe.each([2, 10, 100])('the noise of %d groups', (groups) => {
  const plan = planFor(23, groups);
  const noiseKeys = Array.from({ length: groups }, (_, group) => keyOf('budget noise', group));

  test('before rounding is within the bound, and flooding noise hides what is left of the small one', () => {
    const total = noiseKeys
      .map((key) => noiseOf(key, plan.floodBits))
      .reduce((sum, noise) => sum.map((value, i) => value + noise[i]!));
    const small = noiseKeys.map(smallOf).reduce((sum, noise) => sum.map((value, i) => value + noise[i]!));
    const largestSmall = small.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    expect(largestSmall).toBeLessThanOrEqual(smallBound(groups));
    // There is noise: of 4096 numbers one is beyond three deviations.
    expect(largestSmall).toBeGreaterThan(3 * Math.sqrt(10.5 * groups));
    expect(2 ** plan.floodBits).toBeGreaterThanOrEqual(2 ** 40 * largestSmall);
    const largest = largestOf(total);
    expect(largest).toBeLessThanOrEqual(noiseBound(groups, plan.floodBits));
    // And there is that noise: one of 4096 sums is beyond one deviation.
    expect(Number(largest)).toBeGreaterThan(Math.sqrt(groups / 3) * 2 ** plan.floodBits);
  });

  test.each([plan.bytes, 8])(
    'as it is in a sum of ciphertexts of zeros with %d bytes, is what was drawn, and rounding',
    (bytes) => {
      const wide = { ...plan, bytes };
      const words = new Uint32Array(1);
      const sum = emptySum(wide, 1);
      const secretSum = zeroElement();
      for (const [group, noiseKey] of noiseKeys.entries()) {
        const secret = uniformElement(keyOf('budget', group));
        addInto(secretSum, secret);
        addCiphertext(sum, encrypt(ring, wide, { words, secret, seed: SEED, noiseKey }), wide);
      }
      let product: bigint[] = [];
      ring.multiplyEach(SEED, secretSum, 1, (_, element) => {
        product = coefficientsOf(element);
      });
      const drawn = noiseKeys
        .map((key) => noiseOf(key, plan.floodBits))
        .reduce((all, noise) => all.map((value, i) => value + noise[i]!));
      // All in units of 1 / (q * 2^64), exactly.
      const off = drawn.map((noise, i) => {
        const shown = ((BigInt(sum.hi[i]!) << 32n) + BigInt(sum.lo[i]!)) * MODULUS;
        const rest = (shown + (product[i]! - noise) * CIRCLE) % (CIRCLE * MODULUS);
        const around = rest < 0n ? rest + CIRCLE * MODULUS : rest;
        return around > (CIRCLE * MODULUS) / 2n ? around - CIRCLE * MODULUS : around;
      });
      // Half a unit of the last byte for each group, and 2^-64 + 5 * 2^-78 for each and for the reader.
      const halves = bytes === 8 ? 0 : groups * 2 ** (63 - 8 * bytes);
      const largest = Number((largestOf(off) * 1000n) / MODULUS) / 1000;
      expect(largest).toBeLessThanOrEqual(halves + (groups + 1) * (1 + 5 * 2 ** -14));
      expect(largest).toBeLessThanOrEqual(Number(roundingBound(groups, bytes)));
      expect(largest).toBeGreaterThan(0);
    },
  );
});
