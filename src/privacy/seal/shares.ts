import { invariant } from '../../core/errors.ts';
import { derivedKey } from './keystream.ts';
import { inverseOf, reduce } from './modular.ts';
import { DEGREE, PRIMES, RESIDUES, type RingElement, zeroElement } from './ring.ts';
import { uniformElement } from './sample.ts';

/**
 * Shamir, "How to share a secret", CACM 1979, for an element of the ring: each residue is shared by itself over the field of
 * its prime. Numbers of holders are below every prime, so that they differ modulo each.
 */

const MOST_NUMBER = 65535;

/** One holder's share. `x` is the holder's number, 1..65535. */
export interface ElementShare {
  readonly x: number;
  readonly share: RingElement;
}

function checkNumbers(xs: readonly number[]): void {
  invariant(
    xs.every((x) => Number.isInteger(x) && x >= 1 && x <= MOST_NUMBER),
    `shares are numbered from 1 to ${MOST_NUMBER}`,
  );
  invariant(new Set(xs).size === xs.length, 'a number of a share is there twice');
}

/** value = value * factor + addend, modulo each prime, in place. factor < 2^16, so products stay below 2^38. */
function multiplyAdd(value: RingElement, factor: number, addend: RingElement): void {
  for (const [j, prime] of PRIMES.entries()) {
    const inverse = 1 / prime;
    for (let at = j * DEGREE; at < (j + 1) * DEGREE; at++)
      value[at] = reduce(value[at]! * factor + addend[at]!, prime, inverse);
  }
}

/** The polynomial at x by Horner's rule. `coefficients`: that of x^0, the secret, first. */
function evaluate(coefficients: readonly RingElement[], x: number): RingElement {
  const value = zeroElement();
  for (const coefficient of coefficients.toReversed()) multiplyAdd(value, x, coefficient);
  return value;
}

/** The polynomial that a secret is shared with, its lowest coefficient first. */
function coefficientsOf(secret: RingElement, threshold: number, key: Uint8Array): RingElement[] {
  const higher = Array.from({ length: threshold - 1 }, (_, i) =>
    uniformElement(derivedKey('share coefficient', key, i + 1)),
  );
  return [secret, ...higher];
}

/**
 * Shares of a secret element, in the order of `xs`: distinct numbers from 1 to 65535, at least `threshold` of them. The
 * coefficients come from `key`, 32 bytes that come fresh from a cryptographic generator for every secret: any
 * threshold - 1 shares then say nothing about it.
 */
export function splitElement(options: {
  readonly secret: RingElement;
  readonly threshold: number;
  readonly xs: readonly number[];
  readonly key: Uint8Array;
}): RingElement[] {
  const { secret, threshold, xs, key } = options;
  invariant(secret.length === RESIDUES, 'a secret that is an element of the ring');
  invariant(
    Number.isInteger(threshold) && threshold >= 1 && threshold <= xs.length,
    `threshold ${threshold}`,
  );
  checkNumbers(xs);
  const coefficients = coefficientsOf(secret, threshold, key);
  return xs.map((x) => evaluate(coefficients, x));
}

/** The one share of number `x` of those that `splitElement` gives. */
export function shareOfElement(
  {
    secret,
    threshold,
    key,
  }: { readonly secret: RingElement; readonly threshold: number; readonly key: Uint8Array },
  x: number,
): RingElement {
  checkNumbers([x]);
  return evaluate(coefficientsOf(secret, threshold, key), x);
}

/** What the share of number `own` is multiplied with, modulo one prime, so that the sum is the polynomial at `at` (Lagrange). */
function weightOf(own: number, xs: readonly number[], at: number, prime: number): number {
  const inverse = 1 / prime;
  let above = 1;
  let below = 1;
  for (const other of xs) {
    if (other === own) continue;
    above = reduce(above * (at - other), prime, inverse);
    below = reduce(below * (own - other), prime, inverse);
  }
  return reduce(above * inverseOf(below, prime), prime, inverse);
}

/**
 * The value at `at` (0..65535) of the polynomial of least degree through all these shares: the secret at 0, another
 * holder's share at that holder's number. As many shares as the threshold are enough. A share that was changed gives
 * another element, and nothing here can tell.
 */
export function joinElements(shares: readonly ElementShare[], at = 0): RingElement {
  invariant(shares.length >= 1, 'at least one share');
  invariant(Number.isInteger(at) && at >= 0 && at <= MOST_NUMBER, `a share of number ${at}`);
  const xs = shares.map(({ x }) => x);
  checkNumbers(xs);
  const value = zeroElement();
  for (const { x, share } of shares) {
    invariant(share.length === RESIDUES, 'a share that is an element of the ring');
    for (const [j, prime] of PRIMES.entries()) {
      const weight = weightOf(x, xs, at, prime);
      const inverse = 1 / prime;
      for (let i = j * DEGREE; i < (j + 1) * DEGREE; i++)
        value[i] = reduce(value[i]! + share[i]! * weight, prime, inverse);
    }
  }
  return value;
}
