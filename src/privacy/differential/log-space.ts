/** Numbers kept as natural logarithms: the accountant's terms reach e^(10^6), where a double ends at e^709. */

const HALF_LOG_PI = Math.log(Math.PI) / 2;

/** log(e^a + e^b). */
export function logAdd(a: number, b: number): number {
  const [small, large] = a < b ? [a, b] : [b, a];
  return small === Number.NEGATIVE_INFINITY ? large : large + Math.log1p(Math.exp(small - large));
}

/** log(e^a - e^b), -Infinity where a <= b: a difference that rounding made negative counts as zero. */
export function logSubtract(a: number, b: number): number {
  if (b === Number.NEGATIVE_INFINITY) return a;
  return a <= b ? Number.NEGATIVE_INFINITY : a + Math.log(-Math.expm1(b - a));
}

/** log(e^x - 1) for x > 0, without overflow for a large x and without cancellation for a small one. */
export function logExpm1(x: number): number {
  return x > 1 ? x + Math.log1p(-Math.exp(-x)) : Math.log(Math.expm1(x));
}

/** log(1 + e^x), the inverse of `logExpm1`. */
export function log1pExp(x: number): number {
  return x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x));
}

/** erf(x) for |x| <= 2 by its series of terms of one sign (Abramowitz and Stegun 7.1.6). */
function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return ((2 * Math.exp(-x * x)) / Math.sqrt(Math.PI)) * sum;
}

/** Enough levels of the fraction below for a double at its worst place, x = 2. */
const LEVELS = 80;

/** log erfc(x) for x > 2 by the continued fraction (Abramowitz and Stegun 7.1.14), from its inner end. */
function logErfcFraction(x: number): number {
  let below = x;
  for (let level = LEVELS; level > 0; level--) below = x + level / 2 / below;
  return -x * x - HALF_LOG_PI - Math.log(below);
}

/** log erfc(x), to a relative error of 1e-13 also where erfc itself underflows (x > 26). */
export function logErfc(x: number): number {
  if (x > 2) return logErfcFraction(x);
  return x < -2 ? Math.log(2 - Math.exp(logErfcFraction(-x))) : Math.log1p(-erfSeries(x));
}
