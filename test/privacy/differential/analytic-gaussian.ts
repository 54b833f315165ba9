import { logErfc } from '../../../src/privacy/differential/log-space.ts';

function logNormalCdf(x: number): number {
  return logErfc(-x / Math.SQRT2) - Math.LN2;
}

/** The exact delta of a Gaussian at sensitivity 1 (Balle and Wang 2018): no accountant may go below it. */
export function analyticGaussianDelta(sigma: number, epsilon: number): number {
  const above = logNormalCdf(1 / (2 * sigma) - epsilon * sigma);
  const below = epsilon + logNormalCdf(-1 / (2 * sigma) - epsilon * sigma);
  return Math.exp(above) * -Math.expm1(Math.min(0, below - above));
}

/** The exact epsilon of a Gaussian at sensitivity 1, by bisection to 1e-9. */
export function analyticGaussianEpsilon(sigma: number, delta: number): number {
  if (analyticGaussianDelta(sigma, 0) <= delta) return 0;
  let [low, high] = [0, 1];
  while (analyticGaussianDelta(sigma, high) > delta) high *= 2;
  while (high - low > 1e-9) {
    const middle = (low + high) / 2;
    if (analyticGaussianDelta(sigma, middle) > delta) low = middle;
    else high = middle;
  }
  return high;
}
