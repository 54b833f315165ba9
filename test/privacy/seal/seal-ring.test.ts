import { beforeAll, describe, expect, test } from 'vitest';
import { PluralError } from '../../../src/core/errors.ts';
import {
  DEGREE,
  MODULUS_BITS,
  PRIMES,
  RESIDUES,
  type RingElement,
  zeroElement,
} from '../../../src/privacy/seal/ring.ts';
import { publicElements, uniformElement } from '../../../src/privacy/seal/sample.ts';
import { loadLibrary, translated } from '../../../src/privacy/seal/seal-objects.ts';
import { loadRing, type SealRing } from '../../../src/privacy/seal/seal-ring.ts';
import { keyOf, numbersOf, SEED, same } from './helpers.ts';
import { heapOf, modulesMade, watchMemories } from './wasm-memory.ts';

let ring: SealRing;

/** The first module that is made is that of `ring`. */
beforeAll(async () => {
  watchMemories();
  ring = await loadRing();
});

interface Term {
  readonly exponent: number;
  readonly factor: number;
}

/** A few terms of a name, that with X^4095 among them, so that products wrap. */
function termsOf(name: string, count: number): Term[] {
  const numbers = numbersOf(name, 2 * count);
  return Array.from({ length: count }, (_, i) => ({
    exponent: i === 0 ? DEGREE - 1 : numbers[2 * i]! % DEGREE,
    factor: numbers[2 * i + 1]! % 2 ** 21,
  }));
}

/** element * terms by the definition: X^4096 is -1. Each step is exact, for products are below 2^44. */
function schoolbook(element: RingElement, terms: readonly Term[]): RingElement {
  const product = zeroElement();
  for (const [j, prime] of PRIMES.entries())
    for (const { exponent, factor } of terms)
      for (let i = 0; i < DEGREE; i++) {
        const place = i + exponent;
        const value = (element[j * DEGREE + i]! * factor) % prime;
        const signed = place < DEGREE ? value : prime - value;
        const at = j * DEGREE + (place % DEGREE);
        product[at] = (product[at]! + signed) % prime;
      }
  return product;
}

/** The element with these terms: one times them. */
function elementOf(terms: readonly Term[]): RingElement {
  const one = zeroElement();
  for (const j of PRIMES.keys()) one[j * DEGREE] = 1;
  return schoolbook(one, terms);
}

function pointwise(a: RingElement, b: RingElement): RingElement {
  return a.map((value, at) => (value * b[at]!) % PRIMES[Math.floor(at / DEGREE)]!);
}

describe('the transform', () => {
  test('SEAL has the same primes, whose bits its table allows for 128 bits of security', async () => {
    const seal = await loadLibrary();
    const primes = seal.CoeffModulus.Create(DEGREE, Int32Array.from([22, 22, 22, 22, 21]));
    expect(Array.from(primes.toArray(), Number)).toEqual([...PRIMES]);
    primes.delete();
    const most = seal.CoeffModulus.MaxBitCount(DEGREE, seal.SecurityLevel.tc128);
    expect(most).toBe(109);
    expect(MODULUS_BITS).toBeLessThanOrEqual(most);
  });

  test('there and back, for any element, zero too', () => {
    for (const element of [uniformElement(keyOf('there')), zeroElement()]) {
      const before = Uint32Array.from(element);
      expect(same(ring.fromNtt(ring.toNtt(element)), element)).toBe(true);
      expect(same(ring.toNtt(ring.fromNtt(element)), element)).toBe(true);
      expect(same(element, before)).toBe(true);
    }
  });

  test.each([1, 2, 3])(
    'products at the roots are products in the ring: sparse polynomials, number %d',
    (number) => {
      const a = termsOf(`a${number}`, 9);
      const b = termsOf(`b${number}`, 7);
      const product = ring.fromNtt(pointwise(ring.toNtt(elementOf(a)), ring.toNtt(elementOf(b))));
      expect(same(product, schoolbook(elementOf(a), b))).toBe(true);
    },
  );

  test('products with public elements, of an odd number', () => {
    const terms = termsOf('secret', 5);
    const publicElement = publicElements(SEED);
    const seen: number[] = [];
    ring.multiplyEach(SEED, ring.toNtt(elementOf(terms)), 3, (index, product) => {
      seen.push(index);
      expect(same(product, schoolbook(ring.fromNtt(publicElement(index)), terms))).toBe(true);
    });
    expect(seen).toEqual([0, 1, 2]);
  });

  test('products with zero and with nothing', () => {
    ring.multiplyEach(SEED, zeroElement(), 1, (_, product) => {
      expect(same(product, zeroElement())).toBe(true);
    });
    ring.multiplyEach(SEED, zeroElement(), 0, () => expect.unreachable());
  });

  test('what is no element never reaches SEAL', () => {
    const large = zeroElement().fill(PRIMES[0], 0, 1);
    for (const wrong of [large, new Uint32Array(RESIDUES - 1), new Uint32Array(0)]) {
      expect(() => ring.toNtt(wrong)).toThrow('invariant broken');
      expect(() => ring.fromNtt(wrong)).toThrow('invariant broken');
      expect(() => ring.multiplyEach(SEED, wrong, 1, () => {})).toThrow('invariant broken');
    }
    expect(same(ring.fromNtt(ring.toNtt(zeroElement())), zeroElement())).toBe(true);
  });

  test('is loaded once', async () => {
    expect(await loadRing()).toBe(ring);
  });
});

describe('the memory of SEAL', () => {
  test('neither objects nor heap grow', () => {
    const secret = uniformElement(keyOf('memory'));
    const round = () => ring.multiplyEach(SEED, secret, 4, () => {});
    for (let i = 0; i < 5; i++) round();
    const heap = heapOf(0);
    const objects = ring.objects;
    for (let i = 0; i < 50; i++) round();
    expect(heapOf(0)).toBe(heap);
    expect(ring.objects).toBe(objects);
    // Context, evaluator and one ciphertext.
    expect(objects).toBe(3);
  });

  test('where objects are kept, that heap grows', async () => {
    const module = modulesMade();
    const seal = await loadLibrary();
    const heap = heapOf(module);
    const vectors = Array.from({ length: 8 }, () => {
      const vector = seal.Vector();
      vector.from(new Uint8Array(2 ** 22));
      return vector;
    });
    expect(heapOf(module)).toBeGreaterThan(heap);
    for (const vector of vectors) vector.delete();
  });
});

describe('errors of SEAL', () => {
  test('a number that node-seal throws becomes an error with its message', async () => {
    const seal = await loadLibrary();
    const parameters = seal.EncryptionParameters(seal.SchemeType.none);
    const wrong = () => parameters.instance.setPolyModulusDegree(DEGREE);
    let thrown: unknown = null;
    try {
      wrong();
    } catch (error) {
      thrown = error;
    }
    expect(typeof thrown).toBe('number');
    expect(() => translated(seal, wrong)).toThrow(PluralError);
    expect(() => translated(seal, wrong)).toThrow(/SEAL: .*not supported/);
    parameters.delete();
  });

  test('an error stays one, and what is returned is returned', async () => {
    const seal = await loadLibrary();
    const wrong = () => seal.CoeffModulus.Create(DEGREE, Int32Array.of(61));
    expect(() => translated(seal, wrong)).toThrow(/SEAL: \S+/);
    expect(translated(seal, () => 7)).toBe(7);
  });
});
