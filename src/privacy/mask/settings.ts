import { z } from 'zod';
import { PluralError } from '../../core/errors.ts';
import { type Grid, gridOf, MOST_RING_BITS, ringBitsOf, stepOf } from '../grid.ts';
import type { RunShape } from '../protection.ts';
import { ASSUMED, type Assumptions, findGraph } from './graph.ts';
import { type Noise, noiseOf, noiseOptions, unknownShares } from './noise.ts';

/** Fewest groups that any client takes part with: of two, each would learn the other's update. */
export const LEAST_GROUPS = 3;

/** Far above any change of a parameter that is of use; sums of it stay finite. */
const MOST_CLIP = 1e9;

/** Options of protection `mask`. */
export const maskOptions = z
  .strictObject({
    /** Bits of one group's number on the grid, with its sign. */
    bits: z.int().min(8).max(24).default(16),
    /** Most groups of a round: the sum has room for as many. */
    mostGroups: z.int().min(LEAST_GROUPS).max(65_536).default(128),
    /** Fewest groups of a round. */
    leastGroups: z.int().min(LEAST_GROUPS).default(LEAST_GROUPS),
    /** Largest absolute change of a parameter in a round; null: local steps times learning rate. */
    clipValue: z.number().positive().max(MOST_CLIP).nullable().default(null),
    /** Clip norm: largest L2 norm of an update; null for none. */
    clipNorm: z.number().positive().max(MOST_CLIP).nullable().default(null),
    /** Share of the groups that may work together with the aggregator. Fewer neighbours are needed where it is small. */
    corruptShare: z.number().min(ASSUMED.corruptShare).max(0.3).default(ASSUMED.corruptShare),
    /** Share of the groups that may be lost in a round. */
    dropoutShare: z.number().min(0).max(ASSUMED.dropoutShare).default(ASSUMED.dropoutShare),
    /** Noise that keeps the whole run within (epsilon, delta); null for none. */
    differentialPrivacy: noiseOptions.nullable().default(null),
  })
  .refine(({ bits, mostGroups }) => ringBitsOf(bits, mostGroups) <= MOST_RING_BITS, {
    path: ['bits'],
    error: ({ input }) => {
      const { bits, mostGroups } = input as { bits: number; mostGroups: number };
      return `the sum of ${mostGroups} numbers of ${bits} bits needs ${ringBitsOf(bits, mostGroups)} bits and would overflow ${MOST_RING_BITS}: lower bits or mostGroups`;
    },
  })
  .refine((options) => findGraph(options.mostGroups, options) !== null, {
    path: ['mostGroups'],
    error:
      'no neighbour graph of so many groups withstands so many who are corrupt or lost: lower mostGroups, dropoutShare or corruptShare',
  })
  .refine(({ leastGroups, mostGroups }) => leastGroups <= mostGroups, {
    path: ['leastGroups'],
    error: 'leastGroups must not exceed mostGroups',
  });
export type MaskOptions = z.output<typeof maskOptions>;

/** The options with what follows from the run. */
export interface MaskSettings {
  readonly grid: Grid;
  readonly least: number;
  readonly most: number;
  readonly assumed: Assumptions;
  /** Seed of the rounding, which may be known. */
  readonly seed: number;
  /** Null where no noise is added. */
  readonly noise: Noise | null;
}

function conflict(message: string, hint: string): PluralError {
  return new PluralError('CONFIG_CONFLICT', `protection.differentialPrivacy: ${message}`, { hint });
}

/** The noise of a run; null where none is asked for. Errors: CONFIG_CONFLICT. */
function noiseFor(options: MaskOptions, shape: RunShape, step: number): Noise | null {
  const { differentialPrivacy, clipNorm, leastGroups, mostGroups, corruptShare, dropoutShare } = options;
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
  const shares = unknownShares(leastGroups, mostGroups, { corruptShare, dropoutShare });
  if (shares < 1) {
    throw conflict('too few groups for noise that nobody knows', 'Raise protection.leastGroups.');
  }
  const clipSteps = (clipNorm * shape.mostWeight) / step;
  return noiseOf(differentialPrivacy, shape, { clipSteps, shares });
}

/** Errors: CONFIG_CONFLICT where noise is asked for that does not fit the run. */
export function maskSettings(options: MaskOptions, shape: RunShape): MaskSettings {
  const { bits, mostGroups, leastGroups, clipNorm, corruptShare, dropoutShare } = options;
  const { mostWeight, reach, seed } = shape;
  const clipValue = options.clipValue ?? reach;
  const noise = noiseFor(options, shape, stepOf({ bits, clipValue, mostWeight }));
  const sigma = noise?.localSigma ?? 0;
  const ringBits = ringBitsOf(bits, mostGroups, sigma);
  if (ringBits > MOST_RING_BITS) {
    throw conflict(
      `with the noise the sum needs ${ringBits} bits and would overflow ${MOST_RING_BITS}`,
      'Lower protection.bits or mostGroups, raise leastGroups, or allow a larger epsilon.',
    );
  }
  return {
    grid: gridOf({ bits, mostGroups, clipValue, clipNorm, mostWeight, sigma }),
    least: leastGroups,
    most: mostGroups,
    assumed: { corruptShare, dropoutShare },
    seed,
    noise,
  };
}
