import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { joinSecret, splitSecret } from '../../../src/privacy/mask/shamir.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const thirtyTwo = (byte: number) => new Uint8Array(32).fill(byte);

/** GF(2^8) as tables of powers of x + 1: another way to multiply than that of the code. */
const POWERS: number[] = [];
for (let power = 1; POWERS.length < 255; ) {
  POWERS.push(power);
  power ^= (power << 1) ^ (power & 0x80 ? 0x11b : 0);
}
const LOGARITHM = new Map(POWERS.map((power, exponent) => [power, exponent]));

function product(a: number, b: number): number {
  if (a === 0 || b === 0) return 0;
  return POWERS[(LOGARITHM.get(a)! + LOGARITHM.get(b)!) % 255]!;
}

/** One byte of a share by the definition: sum of coefficients times powers of x. */
function shareByte(polynomial: readonly number[], x: number): number {
  let power = 1;
  return polynomial.reduce((sum, coefficient) => {
    const term = product(coefficient, power);
    power = product(power, x);
    return sum ^ term;
  }, 0);
}

const sharings = fc
  .record({
    secret: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    xs: fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 24 }),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
    seed: fc.nat(),
  })
  .map(({ secret, xs, part, seed }) => {
    const threshold = 1 + Math.floor(part * (xs.length - 1));
    const shake = createHash('shake256', { outputLength: 32 * Math.max(1, threshold - 1) });
    const coefficients = new Uint8Array(shake.update(String(seed)).digest()).subarray(
      0,
      32 * (threshold - 1),
    );
    return { secret, xs, threshold, coefficients };
  });

describe('sharing of a secret', () => {
  test('any threshold of the shares give the secret back, in any order', () => {
    fc.assert(
      fc.property(
        sharings.chain((sharing) =>
          fc.tuple(
            fc.constant(sharing),
            fc.shuffledSubarray([...sharing.xs.keys()], { minLength: sharing.threshold }),
          ),
        ),
        ([sharing, chosen]) => {
          const shares = splitSecret(sharing);
          const shown = chosen.map((i) => ({ x: sharing.xs[i]!, share: shares[i]! }));
          expect(joinSecret(shown, sharing.threshold)).toEqual(sharing.secret);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('all subsets of 3 of 6 shares', () => {
    const secret = createHash('sha256').update('secret').digest();
    const xs = [1, 2, 3, 128, 254, 255];
    const shares = splitSecret({ secret, threshold: 3, xs, coefficients: randomLike('subsets', 2) });
    for (const [a, b, c] of triples(6)) {
      const shown = [a, b, c].map((i) => ({ x: xs[i]!, share: shares[i]! }));
      expect(hex(joinSecret(shown, 3))).toBe(hex(secret));
    }
  });

  test('every byte of every share is the polynomial by its definition, with logarithms', () => {
    fc.assert(
      fc.property(sharings, (sharing) => {
        const { secret, xs, threshold, coefficients } = sharing;
        splitSecret(sharing).forEach((share, at) => {
          for (let i = 0; i < 32; i++) {
            const higher = Array.from({ length: threshold - 1 }, (_, power) => coefficients[32 * power + i]!);
            expect(share[i]).toBe(shareByte([secret[i]!, ...higher], xs[at]!));
          }
        });
      }),
      { numRuns: 40 },
    );
  });

  test('the products of FIPS 197, section 4.2: 57 * 83 = c1, 57 * 13 = fe', () => {
    const shares = splitSecret({
      secret: thirtyTwo(0),
      threshold: 2,
      xs: [0x83, 0x13],
      coefficients: thirtyTwo(0x57),
    });
    expect(shares).toEqual([thirtyTwo(0xc1), thirtyTwo(0xfe)]);
  });

  // Secret 00..1f, coefficients SHAKE256('coefficients'); by a bit-by-bit program in Python.
  test.each([
    [1, 'e133dd0ba3c215f18f8c693e5a246a656aa30dac3d410408fe4e65fd7203fce2'],
    [2, '97d035fe52e170def6fd8f3ef257fac4c31ad6b06c61238abadc5df22006ad12'],
    [77, '68f47f08ded727ae8506a15fe4d23e884bd9145b2c61ce4f3e67604bc9cc4643'],
    [255, 'e51c89180e921602e8627748201b5094413683d7914a5ebce3b2ec6846f07290'],
  ])('share %d of a fixed sharing', (x, expected) => {
    const secret = Uint8Array.from({ length: 32 }, (_, i) => i);
    const coefficients = randomLike('coefficients', 2);
    const [share] = splitSecret({ secret, threshold: 3, xs: [x, x - 1 || 9, x ^ 0x40], coefficients });
    expect(hex(share!)).toBe(expected);
  });
});

describe('fewer shares than the threshold', () => {
  test('one of two: for every share and every secret there is exactly one coefficient', () => {
    for (const x of [1, 2, 0x53, 255]) {
      for (let secret = 0; secret < 256; secret++) {
        const seen = new Set<number>();
        for (let from = 0; from < 256; from += 32) {
          const coefficients = Uint8Array.from({ length: 32 }, (_, i) => from + i);
          const [share] = splitSecret({
            secret: thirtyTwo(secret),
            threshold: 2,
            xs: [x, x ^ 6],
            coefficients,
          });
          for (const byte of share!) seen.add(byte);
        }
        expect(seen.size).toBe(256);
      }
    }
  });

  test('two of three: for every pair of shares and every secret there is exactly one pair of coefficients', () => {
    for (const secret of [0, 1, 0xa7, 255]) {
      const seen = new Uint8Array(65536);
      for (let pair = 0; pair < 65536; pair += 32) {
        const coefficients = new Uint8Array(64);
        for (let i = 0; i < 32; i++) coefficients.set([(pair + i) >> 8], i);
        for (let i = 0; i < 32; i++) coefficients.set([(pair + i) & 255], 32 + i);
        const [a, b] = splitSecret({
          secret: thirtyTwo(secret),
          threshold: 3,
          xs: [3, 200, 7],
          coefficients,
        });
        a!.forEach((byte, i) => {
          seen[(byte << 8) | b![i]!]!++;
        });
      }
      expect(seen.every((times) => times === 1)).toBe(true);
    }
  });

  test('the next lower threshold gives another secret', () => {
    const secret = createHash('sha256').update('other').digest();
    const xs = [1, 2, 3, 4, 5];
    const shares = splitSecret({ secret, threshold: 4, xs, coefficients: randomLike('lower', 3) });
    const shown = xs.map((x, i) => ({ x, share: shares[i]! }));
    expect(hex(joinSecret(shown, 3))).not.toBe(hex(secret));
    expect(hex(joinSecret(shown, 5))).toBe(hex(secret));
  });
});

describe('what callers must keep to', () => {
  const secret = thirtyTwo(7);
  const split = (change: Partial<Parameters<typeof splitSecret>[0]>) =>
    splitSecret({ secret, threshold: 2, xs: [1, 2, 3], coefficients: thirtyTwo(1), ...change });

  test.each([
    ['a number twice', { xs: [1, 2, 1] }],
    ['number 0, whose share is the secret', { xs: [0, 1, 2] }],
    ['number 256', { xs: [1, 256] }],
    ['half a number', { xs: [1, 1.5] }],
    ['more of them than shares', { threshold: 4, coefficients: new Uint8Array(96) }],
    ['a threshold of 0', { threshold: 0, coefficients: new Uint8Array(0) }],
    ['too few coefficients', { coefficients: new Uint8Array(31) }],
    ['too many coefficients', { coefficients: new Uint8Array(64) }],
    ['a secret of 31 bytes', { secret: new Uint8Array(31) }],
  ])('%s breaks a promise', (_, change) => {
    expect(() => split(change)).toThrow('invariant broken');
  });

  test('too few, double or short shares break a promise', () => {
    const [a, b] = split({});
    const one = { x: 1, share: a! };
    const two = { x: 2, share: b! };
    expect(() => joinSecret([one], 2)).toThrow('invariant broken');
    expect(() => joinSecret([one, one], 2)).toThrow('invariant broken');
    expect(() => joinSecret([one, two, one], 2)).toThrow('invariant broken');
    expect(() => joinSecret([one, { x: 2, share: b!.subarray(1) }], 2)).toThrow('invariant broken');
    expect(() => joinSecret([one, two], 0)).toThrow('invariant broken');
    expect(joinSecret([two, one], 2)).toEqual(secret);
  });

  test('inputs stay as they were, at any offset', () => {
    const around = new Uint8Array(35).fill(9);
    const view = around.subarray(3);
    const shares = split({ secret: view });
    expect(view.every((byte) => byte === 9)).toBe(true);
    const shifted = shares.map((share, i) => {
      const room = new Uint8Array(33);
      room.set(share, 1);
      return { x: i + 1, share: room.subarray(1) };
    });
    expect(joinSecret(shifted, 2)).toEqual(Uint8Array.from(view));
    expect(shifted.map(({ share }) => hex(share))).toEqual(shares.map(hex));
  });
});

function randomLike(seed: string, coefficients: number): Uint8Array {
  return createHash('shake256', { outputLength: 32 * coefficients })
    .update(seed)
    .digest();
}

function* triples(count: number): Generator<readonly [number, number, number]> {
  for (let a = 0; a < count; a++)
    for (let b = a + 1; b < count; b++) for (let c = b + 1; c < count; c++) yield [a, b, c];
}
