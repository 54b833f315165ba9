import { invariant } from '../../core/errors.ts';

/**
 * Shamir, "How to share a secret", CACM 1979, for 32 bytes at once: each byte is shared by itself over GF(2^8) with the
 * polynomial of AES (FIPS 197, section 4.2), x^8 + x^4 + x^3 + x + 1. Four bytes stand in each 32-bit lane word. Nothing
 * branches on, or looks up, a secret byte: secrets are only shifted and added, as the public numbers of shares say.
 */

const SECRET_BYTES = 32;
const LANES = SECRET_BYTES / 4;
const MOST_SHARES = 255;

/** One holder's share. `x` is the holder's number, 1..255. */
export interface Share {
  readonly x: number;
  readonly share: Uint8Array;
}

/** Each of four bytes times x (0x02), reduced. */
function doubled(lane: number): number {
  const carries = (lane >>> 7) & 0x01010101;
  return ((lane & 0x7f7f7f7f) << 1) ^ Math.imul(carries, 0x1b);
}

/** Each of four bytes times the public byte `factor`. */
function times(lane: number, factor: number): number {
  let product = 0;
  let power = lane;
  for (let bits = factor; bits > 0; bits >>>= 1) {
    product ^= power & -(bits & 1);
    power = doubled(power);
  }
  return product;
}

/** 1 / byte, as byte^254; 0 for 0. For public bytes. */
function inverse(byte: number): number {
  let result = 1;
  for (let power = byte, i = 1; i < 8; i++) {
    power = times(power, power);
    result = times(result, power);
  }
  return result;
}

/** A copy as lane words. Which byte stands where in a lane does not matter, as long as it comes back there. */
function lanesOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(Uint8Array.from(bytes).buffer);
}

function checkNumbers(xs: readonly number[]): void {
  invariant(
    xs.every((x) => Number.isInteger(x) && x >= 1 && x <= MOST_SHARES),
    'shares are numbered from 1 to 255',
  );
  invariant(new Set(xs).size === xs.length, 'a number of a share is there twice');
}

/** The polynomial at x by Horner's rule, its highest coefficient first. */
function evaluate(secret: Uint32Array, coefficients: Uint32Array, x: number): Uint8Array {
  const value = new Uint32Array(LANES);
  for (let from = coefficients.length - LANES; from >= 0; from -= LANES)
    for (let i = 0; i < LANES; i++) value[i] = times(value[i]! ^ coefficients[from + i]!, x);
  for (let i = 0; i < LANES; i++) value[i]! ^= secret[i]!;
  return new Uint8Array(value.buffer);
}

/**
 * Shares of a secret of 32 bytes, 32 bytes each, in the order of `xs`: distinct numbers from 1 to 255, at least
 * `threshold` of them. `coefficients` are (threshold - 1) * 32 bytes, those of x^1 first, that come fresh from a
 * cryptographic generator for every secret: any threshold - 1 shares then say nothing about it.
 */
export function splitSecret(options: {
  readonly secret: Uint8Array;
  readonly threshold: number;
  readonly xs: readonly number[];
  readonly coefficients: Uint8Array;
}): Uint8Array[] {
  const { secret, threshold, xs, coefficients } = options;
  invariant(secret.length === SECRET_BYTES, `a secret of ${secret.length} bytes`);
  invariant(
    Number.isInteger(threshold) && threshold >= 1 && threshold <= xs.length,
    `threshold ${threshold}`,
  );
  invariant(coefficients.length === (threshold - 1) * SECRET_BYTES, `${coefficients.length} random bytes`);
  checkNumbers(xs);
  const constant = lanesOf(secret);
  const others = lanesOf(coefficients);
  return xs.map((x) => evaluate(constant, others, x));
}

/** What each share is multiplied with so that their sum is the polynomial at 0 (Lagrange). */
function weightsOf(xs: readonly number[]): number[] {
  return xs.map((x) => {
    let above = 1;
    let below = 1;
    for (const other of xs) {
      if (other === x) continue;
      above = times(above, other);
      below = times(below, other ^ x);
    }
    return times(above, inverse(below));
  });
}

/**
 * The secret of which these are shares, from the first `threshold` of them; all numbers must differ, and there must be
 * enough. A share that was changed gives another secret, and nothing here can tell: compare with something that belongs
 * to the secret, such as its public key.
 */
export function joinSecret(shares: readonly Share[], threshold: number): Uint8Array {
  invariant(Number.isInteger(threshold) && threshold >= 1, `threshold ${threshold}`);
  invariant(shares.length >= threshold, `${shares.length} shares where ${threshold} are needed`);
  const xs = shares.map(({ x }) => x);
  checkNumbers(xs);
  const weights = weightsOf(xs.slice(0, threshold));
  const secret = new Uint32Array(LANES);
  weights.forEach((weight, at) => {
    const { share } = shares[at]!;
    invariant(share.length === SECRET_BYTES, `a share of ${share.length} bytes`);
    const lanes = lanesOf(share);
    for (let i = 0; i < LANES; i++) secret[i]! ^= times(lanes[i]!, weight);
  });
  return new Uint8Array(secret.buffer);
}
