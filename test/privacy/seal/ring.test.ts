import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addInto,
  DEGREE,
  ELEMENT_BYTES,
  isElement,
  MODULUS,
  MODULUS_BITS,
  PRIMES,
  packElement,
  RESIDUES,
  unpackElement,
  zeroElement,
} from '../../../src/privacy/seal/ring.ts';
import { uniformElement } from '../../../src/privacy/seal/sample.ts';
import { packWords } from '../../../src/privacy/secure-sum/packing.ts';
import { keyOf, numbersOf, same } from './helpers.ts';

const elements = fc.nat().map((name) => uniformElement(keyOf('element', name)));
const places = fc.nat(RESIDUES - 1);

function isPrime(number: number): boolean {
  for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) return false;
  return number > 1;
}

describe('the ring', () => {
  test('five different primes below 2^22, all 1 modulo 2 * 4096', () => {
    expect(new Set(PRIMES).size).toBe(5);
    for (const prime of PRIMES) {
      expect(isPrime(prime)).toBe(true);
      expect(prime % (2 * DEGREE)).toBe(1);
      expect(prime).toBeLessThan(2 ** 22);
    }
    expect(MODULUS.toString(2)).toHaveLength(109);
    expect(MODULUS_BITS).toBeGreaterThan(108);
    expect(MODULUS_BITS).toBeLessThan(109);
  });

  test('addition is that of each residue, in place', () => {
    const a = uniformElement(keyOf('a'));
    const b = uniformElement(keyOf('b'));
    const sum = Uint32Array.from(a);
    addInto(sum, b);
    const expected = a.map((residue, at) => (residue + b[at]!) % PRIMES[Math.floor(at / DEGREE)]!);
    expect(same(sum, expected)).toBe(true);
    expect(() => addInto(sum, b.subarray(1))).toThrow('invariant broken');
  });

  test('an element has as many residues as it must, each below its prime', () => {
    expect(isElement(zeroElement())).toBe(true);
    expect(isElement(new Uint32Array(RESIDUES - 1))).toBe(false);
    expect(isElement(new Uint32Array(RESIDUES + 1))).toBe(false);
    fc.assert(
      fc.property(places, (at) => {
        const prime = PRIMES[Math.floor(at / DEGREE)]!;
        const element = zeroElement();
        element[at] = prime - 1;
        expect(isElement(element)).toBe(true);
        element[at] = prime;
        expect(isElement(element)).toBe(false);
      }),
    );
  });
});

describe('packing of elements', () => {
  test('comes back, at any offset', () => {
    fc.assert(
      fc.property(elements, fc.nat(9), (element, offset) => {
        const packed = packElement(element);
        expect(packed.length).toBe(ELEMENT_BYTES);
        const around = new Uint8Array(offset + ELEMENT_BYTES + 3).fill(0xff);
        around.set(packed, offset);
        const unpacked = unpackElement(around.subarray(offset, offset + ELEMENT_BYTES));
        expect(unpacked !== null && same(unpacked, element)).toBe(true);
      }),
      { numRuns: 20 },
    );
    expect(ELEMENT_BYTES).toBe((RESIDUES * 22) / 8);
  });

  test('another length is refused', () => {
    const packed = packElement(uniformElement(keyOf('length')));
    fc.assert(
      fc.property(fc.nat(ELEMENT_BYTES - 1), (length) => {
        expect(unpackElement(packed.subarray(0, length))).toBeNull();
      }),
    );
    expect(unpackElement(Uint8Array.from([...packed, 0]))).toBeNull();
  });

  test('a residue that is not below its prime is refused, wherever it is', () => {
    const element = uniformElement(keyOf('large'));
    fc.assert(
      fc.property(places, fc.double({ min: 0, max: 1, noNaN: true }), (at, part) => {
        const prime = PRIMES[Math.floor(at / DEGREE)]!;
        const changed = Uint32Array.from(element);
        changed[at] = prime + Math.floor(part * (2 ** 22 - 1 - prime));
        expect(unpackElement(packWords(changed, 22))).toBeNull();
      }),
    );
  });

  test('a changed bit gives the element with that residue changed, or none if it is not below its prime', () => {
    const element = uniformElement(keyOf('changed'));
    const packed = packElement(element);
    let refused = 0;
    for (const number of numbersOf('bits', 400)) {
      const bit = number % (8 * ELEMENT_BYTES);
      const changed = Uint8Array.from(packed);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      const at = Math.floor(bit / 22);
      const expected = Uint32Array.from(element);
      expected[at]! ^= 1 << (bit % 22);
      const unpacked = unpackElement(changed);
      if (expected[at]! < PRIMES[Math.floor(at / DEGREE)]!) {
        expect(unpacked !== null && same(unpacked, expected)).toBe(true);
      } else {
        expect(unpacked).toBeNull();
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(0);
  });

  test('only an element is packed', () => {
    expect(() => packElement(zeroElement().fill(2 ** 22 - 1))).toThrow('invariant broken');
  });
});
