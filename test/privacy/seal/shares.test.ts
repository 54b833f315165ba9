import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inverseOf } from '../../../src/privacy/seal/modular.ts';
import {
  DEGREE,
  isElement,
  PRIMES,
  RESIDUES,
  type RingElement,
  zeroElement,
} from '../../../src/privacy/seal/ring.ts';
import { uniformElement } from '../../../src/privacy/seal/sample.ts';
import { type ElementShare, joinElements, splitElement } from '../../../src/privacy/seal/shares.ts';
import { keyOf, same } from './helpers.ts';

const SECRET = uniformElement(keyOf('shared secret'));

function sharesOf(threshold: number, xs: readonly number[], secret = SECRET): ElementShare[] {
  const shares = splitElement({ secret, threshold, xs, key: keyOf('split', threshold, xs.length) });
  return xs.map((x, i) => ({ x, share: shares[i]! }));
}

function oneTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

/** All choices of `size` of these. */
function* subsets<T>(items: readonly T[], size: number): Generator<T[]> {
  if (size === 0) yield [];
  for (let i = 0; i + size <= items.length && size > 0; i++)
    for (const rest of subsets(items.slice(i + 1), size - 1)) yield [items[i]!, ...rest];
}

/** For each residue, what `formula` makes of its number and its prime, whole numbers. */
function elementBy(formula: (at: number, prime: bigint) => bigint): RingElement {
  return Uint32Array.from({ length: RESIDUES }, (_, at) => {
    const prime = BigInt(PRIMES[Math.floor(at / DEGREE)]!);
    const value = formula(at, prime) % prime;
    return Number(value < 0n ? value + prime : value);
  });
}

describe('shares of an element', () => {
  test.each([
    [2, 3],
    [3, 5],
  ])('any %d of %d give it back, all subsets', (threshold, count) => {
    const shares = sharesOf(threshold, oneTo(count));
    let seen = 0;
    for (let size = threshold; size <= count; size++)
      for (const subset of subsets(shares, size)) {
        expect(same(joinElements(subset), SECRET)).toBe(true);
        seen++;
      }
    expect(seen).toBe(threshold === 2 ? 4 : 16);
  });

  test.each([
    [6, 10],
    [11, 20],
  ])('any %d of %d give it back, random subsets in random order', (threshold, count) => {
    const xs = oneTo(count - 2).concat([65534, 65535]);
    const shares = sharesOf(threshold, xs);
    fc.assert(
      fc.property(fc.shuffledSubarray(shares, { minLength: threshold, maxLength: threshold }), (subset) => {
        expect(same(joinElements(subset), SECRET)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test('any of them give every other share', () => {
    const shares = sharesOf(3, [1, 2, 7, 300, 65535]);
    const [a, b, c, ...others] = shares;
    for (const { x, share } of shares) expect(same(joinElements([a!, b!, c!], x), share)).toBe(true);
    expect(others).toHaveLength(2);
  });

  test('one less than the threshold give another element', () => {
    const shares = sharesOf(3, oneTo(5));
    for (const subset of subsets(shares, 2)) expect(same(joinElements(subset), SECRET)).toBe(false);
  });

  test('they are elements, of the polynomial that the key says: powers by whole numbers', () => {
    const xs = [5, 40_000];
    const [low, high] = sharesOf(2, xs);
    // Two points give the line: its slope at one residue after another.
    const slope = elementBy((at, prime) => {
      const rise = BigInt(low!.share[at]!) - BigInt(SECRET[at]!);
      return rise * BigInt(inverseOf(5, Number(prime)));
    });
    const expected = elementBy((at) => BigInt(SECRET[at]!) + BigInt(slope[at]!) * 40_000n);
    expect(same(high!.share, expected)).toBe(true);
    expect(isElement(low!.share)).toBe(true);
    expect(isElement(high!.share)).toBe(true);
  });

  test('shares of a sum are sums of shares', () => {
    const other = uniformElement(keyOf('other secret'));
    const sum = elementBy((at) => BigInt(SECRET[at]!) + BigInt(other[at]!));
    const shares = sharesOf(3, oneTo(4));
    const more = sharesOf(3, [1, 2, 3, 9], other);
    const added = shares.slice(0, 3).map(({ x, share }, i) => ({
      x,
      share: elementBy((at) => BigInt(share[at]!) + BigInt(more[i]!.share[at]!)),
    }));
    expect(same(joinElements(added), sum)).toBe(true);
  });
});

describe('fewer shares than the threshold', () => {
  test.each([2, 3, 6])(
    'one less than %d are shares of every other secret too, by exactly one polynomial',
    (threshold) => {
      const known = sharesOf(threshold, oneTo(threshold + 2)).slice(0, threshold - 1);
      for (const name of ['zero', 'random', 'secret + 1']) {
        const other =
          name === 'zero'
            ? zeroElement()
            : name === 'random'
              ? uniformElement(keyOf('any other'))
              : elementBy((at) => BigInt(SECRET[at]!) + 1n);
        // P(x) + (other - secret) * product of (1 - x / x_i) is `other` at 0, and what it was at each x_i.
        const at = threshold + 1;
        const real = sharesOf(threshold, oneTo(threshold + 2))[threshold]!;
        const share = elementBy((i, prime) => {
          const p = Number(prime);
          const factor = known.reduce(
            (f, { x }) => (f * BigInt(x - at) * BigInt(inverseOf(x, p))) % prime,
            1n,
          );
          return BigInt(real.share[i]!) + (BigInt(other[i]!) - BigInt(SECRET[i]!)) * factor;
        });
        const points = [...known, { x: at, share }];
        expect(same(joinElements(points), other)).toBe(true);
        // Not only at the points it was put through: any threshold of its points give the same.
        const further = { x: 777, share: joinElements(points, 777) };
        expect(same(joinElements([...known.slice(1), further, { x: at, share }]), other)).toBe(true);
        for (const point of known) expect(same(joinElements(points, point.x), point.share)).toBe(true);
      }
    },
  );

  test('two keys give other shares of the same secret', () => {
    const options = { secret: SECRET, threshold: 2, xs: [1, 2] };
    const [one] = splitElement({ ...options, key: keyOf('one') });
    const [two] = splitElement({ ...options, key: keyOf('two') });
    expect(same(one!, two!)).toBe(false);
    const [again] = splitElement({ ...options, key: keyOf('one') });
    expect(same(one!, again!)).toBe(true);
  });
});

describe('what callers must keep to', () => {
  test.each([
    ['a number twice', { xs: [1, 2, 1] }],
    ['number 0, whose share is the secret', { xs: [0, 1, 2] }],
    ['number 65536', { xs: [1, 65536] }],
    ['half a number', { xs: [1, 1.5] }],
    ['a threshold above the number of shares', { threshold: 4 }],
    ['a threshold of 0', { threshold: 0 }],
    ['a short secret', { secret: new Uint32Array(RESIDUES - 1) }],
    ['a short key', { key: new Uint8Array(31) }],
  ])('%s breaks a promise', (_, change) => {
    const options = { secret: SECRET, threshold: 2, xs: [1, 2, 3], key: keyOf('promise') };
    expect(splitElement(options)).toHaveLength(3);
    expect(() => splitElement({ ...options, ...change })).toThrow('invariant broken');
  });

  test('no shares, one twice, a short one, and a place that is none', () => {
    const [a, b] = sharesOf(2, [1, 2]);
    expect(() => joinElements([])).toThrow('invariant broken');
    expect(() => joinElements([a!, a!])).toThrow('invariant broken');
    expect(() => joinElements([a!, { x: 2, share: b!.share.subarray(1) }])).toThrow('invariant broken');
    for (const at of [-1, 65536, 0.5]) expect(() => joinElements([a!, b!], at)).toThrow('invariant broken');
  });
});
