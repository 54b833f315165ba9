import { z } from 'zod';
import { bytesOf, float64From } from '../../core/bytes.ts';
import type { Storable } from '../../training/checkpoint.ts';
import {
  storableIntroductions,
  storableLinks,
  storedIntroductionsSchema,
  storedLinksSchema,
} from '../frames/stored-links.ts';
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
  links: storedLinksSchema,
  place: z.strictObject({ round: z.int(), attempt: z.int() }),
  keeping: z.array(z.string()),
  holds: z.boolean(),
  introductions: storedIntroductionsSchema,
});

/** What a keeper goes on from, as a checkpoint takes it. */
export function storableMemory({ stage, links, place, keeping, holds, introductions }: KeeperMemory) {
  const { masters, first, second, steps } = stage;
  return {
    stage: { masters: bytesOf(masters), first: bytesOf(first), second: bytesOf(second), steps },
    links: storableLinks(links),
    place: { round: place.round, attempt: place.attempt },
    keeping: [...keeping],
    holds,
    introductions: storableIntroductions(introductions),
  } satisfies Storable;
}
