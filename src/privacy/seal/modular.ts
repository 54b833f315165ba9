/**
 * value mod prime, in 0..prime-1, for an integer of either sign with |value| <= 2^50; `inverse` is 1 / prime as a double.
 *
 * (value + 1/2) / prime is at least 1 / (2 prime) away from every integer. The product computed here is off by at most
 * |value| / prime * 2^-52, which is less, so that its floor is the quotient and everything is exact.
 */
export function reduce(value: number, prime: number, inverse: number): number {
  return value - Math.floor((value + 0.5) * inverse) * prime;
}

/** base^exponent mod prime, for a prime below 2^22 and a base below it. */
export function power(base: number, exponent: number, prime: number): number {
  const inverse = 1 / prime;
  let result = 1;
  let square = base;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = reduce(result * square, prime, inverse);
    square = reduce(square * square, prime, inverse);
  }
  return result;
}

/** 1 / value mod prime, as value^(prime - 2) (Fermat); 0 for 0. */
export function inverseOf(value: number, prime: number): number {
  return power(value, prime - 2, prime);
}
