import { z } from 'zod';
import { publicKeySchema } from './identity.ts';
import { countSchema, digestSchema } from './run-definition.ts';

/** Drawn for each deposit: blob and shares of one do not go with those of another. */
export const depositIdSchema = z.string().regex(/^[0-9a-f]{32}$/, 'not the id of a deposit: 32 hex digits');

/** More than a stage with its moments that an aggregator relays. */
export const MOST_DEPOSIT_BYTES = 128 * 2 ** 20;

/** The part of a stage's deposit that the aggregator can read. It is signed with what is sealed and bound to it by the seal. */
export const depositHeaderSchema = z.strictObject({
  /** Digest of the run. */
  run: digestSchema,
  stage: countSchema,
  /** Epoch of the morphs that the stage is in. */
  epoch: countSchema,
  /** The last round that is in it, as keepers count them. */
  round: countSchema,
  id: depositIdSchema,
  /** Who kept the stage. */
  from: publicKeySchema,
  /** Digest of each share of the key, in the order of the other stages, whose holders have them. */
  marks: z.array(digestSchema).min(1).max(254),
});

export type DepositHeader = z.output<typeof depositHeaderSchema>;
