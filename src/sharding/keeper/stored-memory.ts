import { z } from 'zod';
import { bytesOf, float64From } from '../../core/bytes.ts';
import type { Storable } from '../../training/checkpoint.ts';
import { digestSchema } from '../../wire/run-definition.ts';
import type { KeeperMemory } from './setup.ts';

/** float64 numbers as bytes. */
const storedDoubles = z.instanceof(Uint8Array).transform(float64From);

/** What a keeper goes on from, as `storableMemory` made it and a checkpoint gives it back. */
export const keeperMemorySchema = z.strictObject({
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
  keeping: z.array(z.string()),
  holds: z.boolean(),
});

/** What a keeper goes on from, as a checkpoint takes it. */
export function storableMemory({ stage, links, place, keeping, holds }: KeeperMemory) {
  const { masters, first, second, steps } = stage;
  return {
    stage: { masters: bytesOf(masters), first: bytesOf(first), second: bytesOf(second), steps },
    links: {
      bound: links.bound,
      epoch: links.epoch,
      secrets: links.secrets.map(([other, secret]) => [other, secret]),
    },
    place: { round: place.round, attempt: place.attempt },
    keeping: [...keeping],
    holds,
  } satisfies Storable;
}
