import { z } from 'zod';
import { bytesOf, float64From } from '../core/bytes.ts';
import type { KeeperMemory } from '../sharding/keeper/setup.ts';
import type { Storable } from '../training/checkpoint.ts';
import { digestSchema } from '../wire/run-definition.ts';

/** float64 numbers as bytes. */
const storedDoubles = z.instanceof(Uint8Array).transform(float64From);

/** What the keepers of a simulated run go on from, in the order of their stages. */
export const keeperMemoriesSchema = z.array(
  z.strictObject({
    stage: z.strictObject({
      masters: storedDoubles,
      first: storedDoubles,
      second: storedDoubles,
      steps: z.int(),
    }),
    links: z.strictObject({
      bound: digestSchema,
      epoch: z.int(),
      secrets: z.array(z.tuple([z.string(), z.instanceof(Uint8Array)])),
    }),
    place: z.strictObject({ round: z.int(), attempt: z.int() }),
  }),
);

/** The same as a checkpoint takes it. */
export function storableMemories(memories: readonly KeeperMemory[]): Storable[] {
  return memories.map(({ stage, links, place }) => ({
    stage: {
      masters: bytesOf(stage.masters),
      first: bytesOf(stage.first),
      second: bytesOf(stage.second),
      steps: stage.steps,
    },
    links: {
      bound: links.bound,
      epoch: links.epoch,
      secrets: links.secrets.map(([other, secret]) => [other, secret]),
    },
    place: { round: place.round, attempt: place.attempt },
  }));
}
