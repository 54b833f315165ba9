import { invariant } from '../../core/errors.ts';
import { inverseOf, reduce } from './modular.ts';
import { DEGREE, MODULUS, PRIMES, RESIDUES, type RingElement } from './ring.ts';

/** Fractions of the circle [0, 1) in 64 bits: number i is hi[i] * 2^-32 + lo[i] * 2^-64. Sums are modulo 1. */
export interface Fractions {
  readonly hi: Uint32Array;
  readonly lo: Uint32Array;
}

export function zeroFractions(count: number): Fractions {
  return { hi: new Uint32Array(count), lo: new Uint32Array(count) };
}

/** Each digit has 26 bits, so that a residue times 2^26 stays below 2^48. */
const DIGIT = 2 ** 26;
const DIGIT_MASK = DIGIT - 1;

/** (q / p_j)^-1 mod p_j: with y_j = x_j times that, x / q is the sum of y_j / p_j, modulo 1 (Chinese remainders). */
const COFACTOR_INVERSES = PRIMES.map((prime) => {
  const cofactor = MODULUS / BigInt(prime);
  return inverseOf(Number(cofactor % BigInt(prime)), prime);
});

/** Sums of the first, second and third digits behind the point, of one y_j / p_j after another. Below 5 * 2^26. */
const DIGITS = [new Uint32Array(DEGREE), new Uint32Array(DEGREE), new Uint32Array(DEGREE)] as const;

/** Adds the three digits of each y_j / p_j, by long division. */
function addDigits(element: RingElement, j: number): void {
  const [first, second, third] = DIGITS;
  const prime = PRIMES[j]!;
  const cofactorInverse = COFACTOR_INVERSES[j]!;
  const inverse = 1 / prime;
  for (let i = 0; i < DEGREE; i++) {
    const y = reduce(element[j * DEGREE + i]! * cofactorInverse, prime, inverse);
    const digit1 = Math.floor((y * DIGIT + 0.5) * inverse); // The same as in `reduce`, and exact for the same reason.
    const rest1 = y * DIGIT - digit1 * prime;
    const digit2 = Math.floor((rest1 * DIGIT + 0.5) * inverse);
    const rest2 = rest1 * DIGIT - digit2 * prime;
    first[i]! += digit1;
    second[i]! += digit2;
    third[i]! += Math.floor((rest2 * DIGIT + 0.5) * inverse);
  }
}

/** Carries, drops what is above the point, and keeps the top 64 of 78 bits. */
function gather({ hi, lo }: Fractions): void {
  const [first, second, third] = DIGITS;
  for (let i = 0; i < DEGREE; i++) {
    const digit2 = second[i]! + (third[i]! >>> 26);
    const digit1 = first[i]! + (digit2 >>> 26);
    hi[i] = (digit1 << 6) | ((digit2 & DIGIT_MASK) >>> 20);
    lo[i] = (digit2 << 12) | ((third[i]! & DIGIT_MASK) >>> 14);
  }
}

/**
 * x / q in 64 bits for each coefficient x of an element in coefficient form, into 4096 fractions. Rounded down: on the circle it
 * is behind x / q by less than 2^-64 + 5 * 2^-78. A function of the element alone.
 */
export function toFixed(element: RingElement, into: Fractions): void {
  invariant(element.length === RESIDUES && into.hi.length === DEGREE, 'an element and 4096 fractions');
  for (const digits of DIGITS) digits.fill(0);
  for (const j of PRIMES.keys()) addDigits(element, j);
  gather(into);
}
