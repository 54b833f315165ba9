import { createCipheriv } from 'node:crypto';
import { z } from 'zod';
import { localSigmaFor, spendOf } from '../differential/calibrate.ts';
import { sampleDiscreteGaussian } from '../differential/discrete-gaussian.ts';
import { roundedNormBound } from '../differential/distributed-gaussian.ts';
import type { Guarantee, RunShape } from '../protection.ts';

/** Option `differentialPrivacy`: what the whole run may spend. */
export const noiseOptions = z.strictObject({
  epsilon: z.number().positive(),
  delta: z.number().gt(0).max(0.01).default(1e-5),
});

/** The noise of a run. */
export type Noise = Guarantee;

/** Chance that an update is rounded again (Kairouz, Liu and Steinke 2021, who take the same). */
const BETA = Math.exp(-1 / 2);

/** The noise that keeps a whole run within its epsilon. `clipSteps`: the clip norm in steps of the grid. Errors: CONFIG_CONFLICT. */
export function noiseOf(
  options: z.output<typeof noiseOptions>,
  { rounds, parameters }: RunShape,
  { clipSteps, shares }: { readonly clipSteps: number; readonly shares: number },
): Noise {
  const { epsilon, delta } = options;
  const run = { clipSteps, dimension: parameters, beta: BETA, honestSurvivors: shares, rounds, delta };
  const localSigma = localSigmaFor({ ...run, epsilon });
  const { rdpPerRound, epsilons } = spendOf({ ...run, localSigma });
  const { clipSteps: _, dimension: __, beta: ___, ...about } = run;
  return { ...about, epsilons, localSigma, rdpPerRound, mostNorm: roundedNormBound(run) };
}

/** Adds a group's share of the noise, in place, from a key that nobody else knows. */
export function addNoise(words: Uint32Array, { localSigma }: Noise, key: Uint8Array): void {
  const cipher = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
  const noise = new Int32Array(words.length);
  sampleDiscreteGaussian(noise, localSigma, (count) => cipher.update(new Uint8Array(count)));
  for (let i = 0; i < words.length; i++) words[i]! += noise[i]!;
}

/** Squared L2 norm of numbers in two's complement. */
export function squaredNorm(words: Uint32Array): number {
  const signed = new Int32Array(words.buffer, words.byteOffset, words.length);
  let sum = 0;
  for (let i = 0; i < signed.length; i++) sum += signed[i]! * signed[i]!;
  return sum;
}
