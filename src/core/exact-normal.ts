/** Uniform doubles in [0, 1) with 53 random bits. */
export type Uniform = () => number;

/**
 * An exponential deviate of mean 1 by comparisons alone (von Neumann, "Various techniques used in connection with random digits", 1951):
 * a falling run that starts with x has an odd length with chance e^-x.
 */
function exponential(uniform: Uniform): number {
  for (let whole = 0; ; whole++) {
    const first = uniform();
    let last = first;
    let length = 1;
    for (let next = uniform(); next < last; next = uniform()) {
      last = next;
      length++;
    }
    if (length % 2 === 1) return whole + first;
  }
}

/** A point of the unit disc that is not its centre, and its squared distance from there. */
function discPoint(uniform: Uniform): { readonly x: number; readonly y: number; readonly squared: number } {
  for (;;) {
    const x = 2 * uniform() - 1;
    const y = 2 * uniform() - 1;
    const squared = x * x + y * y;
    if (squared > 0 && squared < 1) return { x, y, squared };
  }
}

/**
 * Fills with standard normal deviates, the same bits on every machine. Logarithm and cosine are rounded as each engine likes, so Box-Muller's
 * method would not do; here are comparisons and + - * / sqrt alone, which IEEE 754 rounds in one way. The direction is that of a point in
 * the disc (Marsaglia's polar method), half the squared length of a pair an exponential deviate.
 */
export function fillExactNormal(values: Float64Array, uniform: Uniform): void {
  for (let i = 0; i < values.length; i += 2) {
    const { x, y, squared } = discPoint(uniform);
    const scale = Math.sqrt((2 * exponential(uniform)) / squared);
    values[i] = x * scale;
    // Past the end of an odd number of values: dropped.
    values[i + 1] = y * scale;
  }
}
