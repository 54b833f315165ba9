import { invariant, PluralError } from '../../core/errors.ts';
import {
  type Rounding,
  rdpOfNoisySum,
  roundedNormBound,
  SMALLEST_LOCAL_SIGMA,
} from './distributed-gaussian.ts';
import { DEFAULT_ORDERS, epsilonOf, type RdpCurve, repeatRdp } from './rdp.ts';

/** What an accountant must know of a run in which every group takes part in every round. */
export interface NoisyRun extends Rounding {
  /** Groups whose noise is in every sum and unknown to the observer. */
  readonly honestSurvivors: number;
  readonly rounds: number;
  readonly delta: number;
}

/** What a run spends. */
export interface Spend {
  /** RDP of one round, at DEFAULT_ORDERS. */
  readonly rdpPerRound: RdpCurve;
  /** Epsilon at the run's delta after 1, 2, … rounds, [rounds]. */
  readonly epsilons: readonly number[];
}

function rdpPerRound(run: NoisyRun, localSigma: number): number[] {
  const sensitivity = roundedNormBound(run);
  return rdpOfNoisySum({ ...run, localSigma, sensitivity }, DEFAULT_ORDERS);
}

/** The sum of `rounds` equal curves is written as a product here and in the ledger: both get the same doubles. */
function epsilonAfter(rounds: number, rdp: RdpCurve, delta: number): number {
  return epsilonOf({ orders: DEFAULT_ORDERS, rdp: repeatRdp(rdp, rounds), delta });
}

/** What a run spends when each group adds a discrete Gaussian of `localSigma` grid units (at least 0.5). */
export function spendOf(run: NoisyRun & { readonly localSigma: number }): Spend {
  const rdp = rdpPerRound(run, run.localSigma);
  const epsilons = Array.from({ length: run.rounds }, (_, index) => epsilonAfter(index + 1, rdp, run.delta));
  return { rdpPerRound: rdp, epsilons };
}

/** The largest sigma of `sampleDiscreteGaussian`. */
const LARGEST_LOCAL_SIGMA = 2 ** 24;
/** The result is at most this factor above the smallest sigma. */
const PRECISION = 1 + 1e-9;

/** The smallest sigma in the range that passes; `passes` is false up to some sigma and true from there on. */
function smallestSigma(passes: (localSigma: number) => boolean): number | null {
  if (passes(SMALLEST_LOCAL_SIGMA)) return SMALLEST_LOCAL_SIGMA;
  if (!passes(LARGEST_LOCAL_SIGMA)) return null;
  let [low, high] = [SMALLEST_LOCAL_SIGMA, LARGEST_LOCAL_SIGMA];
  while (high > low * PRECISION) {
    const middle = Math.sqrt(low * high);
    if (passes(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/**
 * The smallest deviation of each group's noise, in grid units, with which all rounds together stay within
 * (epsilon, delta); to a factor of 1 + 1e-9, on the safe side, and at least 0.5.
 * Errors: CONFIG_CONFLICT if no sigma up to 2^24 does: the grid is too fine, or epsilon too small for the orders.
 */
export function localSigmaFor(run: NoisyRun & { readonly epsilon: number }): number {
  const { epsilon, delta, rounds } = run;
  invariant(epsilon > 0 && delta > 0 && delta < 1, `budget (${epsilon}, ${delta})`);
  invariant(Number.isInteger(rounds) && rounds > 0, `${rounds} rounds`);
  const passes = (localSigma: number) => epsilonAfter(rounds, rdpPerRound(run, localSigma), delta) <= epsilon;
  const localSigma = smallestSigma(passes);
  if (localSigma !== null) return localSigma;
  throw new PluralError(
    'CONFIG_CONFLICT',
    `no noise that fits the grid keeps ${rounds} rounds within epsilon ${epsilon} at delta ${delta}`,
    {
      hint: 'Allow a larger epsilon, plan fewer rounds, raise protection.leastGroups, or lower protection.clipNorm or bits.',
    },
  );
}
