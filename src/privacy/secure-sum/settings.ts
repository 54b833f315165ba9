import { z } from 'zod';
import { PluralError } from '../../core/errors.ts';
import { type Grid, gridOf, MOST_RING_BITS, ringBitsOf, stepOf } from '../grid.ts';
import type { RunShape } from '../protection.ts';
import { type Noise, noiseOf, noiseOptions } from './noise.ts';

/** Fewest groups that any client takes part with: of two, each would learn the other's update. */
export const LEAST_GROUPS = 3;

/** Far above any change of a parameter that is of use; sums of it stay finite. */
const MOST_CLIP = 1e9;

/** Options of every protection that shows the aggregator nothing but a sum. */
export const sumOptions = {
  /** Bits of one group's number on the grid, with its sign. */
  bits: z.int().min(4).max(24).default(16),
  /** Most groups of a round: the sum has room for as many. */
  mostGroups: z.int().min(LEAST_GROUPS).max(65_536).default(128),
  /** Fewest groups of a round. */
  leastGroups: z.int().min(LEAST_GROUPS).default(LEAST_GROUPS),
  /** Largest absolute change of a parameter in a round; null: local steps times learning rate. */
  clipValue: z.number().positive().max(MOST_CLIP).nullable().default(null),
  /** Clip norm: largest L2 norm of an update; null for none. */
  clipNorm: z.number().positive().max(MOST_CLIP).nullable().default(null),
  /** Noise that keeps the whole run within (epsilon, delta); null for none. */
  differentialPrivacy: noiseOptions.nullable().default(null),
};
export type SumOptions = z.output<z.ZodObject<typeof sumOptions>>;

/** Refuses options whose sum would overflow, or that no number of groups keeps. */
export function checkedSum<Schema extends z.ZodType<SumOptions>>(schema: Schema): Schema {
  return schema
    .refine(({ bits, mostGroups }) => ringBitsOf(bits, mostGroups) <= MOST_RING_BITS, {
      path: ['bits'],
      error: ({ input }) => {
        const { bits, mostGroups } = input as SumOptions;
        return `the sum of ${mostGroups} numbers of ${bits} bits needs ${ringBitsOf(bits, mostGroups)} bits and would overflow ${MOST_RING_BITS}: lower bits or mostGroups`;
      },
    })
    .refine(({ leastGroups, mostGroups }) => leastGroups <= mostGroups, {
      path: ['leastGroups'],
      error: 'leastGroups must not exceed mostGroups',
    });
}

/** The options with what follows from the run. */
export interface SumSettings {
  readonly grid: Grid;
  readonly least: number;
  readonly most: number;
  /** Seed of the rounding, which may be known. */
  readonly seed: number;
  /** Null where no noise is added. */
  readonly noise: Noise | null;
}

function conflict(message: string, hint: string): PluralError {
  return new PluralError('CONFIG_CONFLICT', `protection.differentialPrivacy: ${message}`, { hint });
}

/** The noise of a run; null where none is asked for. Errors: CONFIG_CONFLICT. */
function noiseFor(
  options: SumOptions,
  shape: RunShape,
  { step, unknownShares }: { readonly step: number; readonly unknownShares: () => number },
): Noise | null {
  const { differentialPrivacy, clipNorm } = options;
  if (differentialPrivacy === null) return null;
  if (clipNorm === null) {
    throw conflict(
      'it needs a bound of every update',
      'Set protection.clipNorm, from a simulation or public data: a norm that is read off private updates tells of them.',
    );
  }
  if (!shape.equalWeights) {
    throw conflict(
      'the weights of groups would tell how much they answered',
      'Set strategy.weighting=equal.',
    );
  }
  const shares = unknownShares();
  if (shares < 1) {
    throw conflict('too few groups for noise that nobody knows', 'Raise protection.leastGroups.');
  }
  const clipSteps = (clipNorm * shape.mostWeight) / step;
  return noiseOf(differentialPrivacy, shape, { clipSteps, shares });
}

/**
 * `unknownShares`: how many shares of noise in a sum an observer does not know, at the least. Errors: CONFIG_CONFLICT where noise is
 * asked for that does not fit the run.
 */
export function sumSettings(options: SumOptions, shape: RunShape, unknownShares: () => number): SumSettings {
  const { bits, mostGroups, leastGroups, clipNorm } = options;
  const { mostWeight, reach, seed } = shape;
  const clipValue = options.clipValue ?? reach;
  const step = stepOf({ bits, clipValue, mostWeight });
  const noise = noiseFor(options, shape, { step, unknownShares });
  const sigma = noise?.localSigma ?? 0;
  const ringBits = ringBitsOf(bits, mostGroups, sigma);
  if (ringBits > MOST_RING_BITS) {
    throw conflict(
      `with the noise the sum needs ${ringBits} bits and would overflow ${MOST_RING_BITS}`,
      'Lower protection.bits or mostGroups, raise leastGroups, or allow a larger epsilon.',
    );
  }
  const grid = gridOf({ bits, mostGroups, clipValue, clipNorm, mostWeight, sigma });
  return { grid, least: leastGroups, most: mostGroups, seed, noise };
}
