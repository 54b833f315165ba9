import { z } from 'zod';
import { agreementKeySchema, voucherSchema } from '../../wire/greeting.ts';
import { digestSchema } from '../../wire/run-definition.ts';
import { newcomerSchema } from '../../wire/sharding.ts';
import type { IntroductionsMemory } from './introductions.ts';
import type { LinksMemory } from './links.ts';

/** Links, as `storableLinks` made them and a file gives them back. */
export const storedLinksSchema = z.strictObject({
  bound: digestSchema,
  epoch: z.int().min(0),
  /** By the public keys of who is at the other ends. */
  secrets: z.array(z.tuple([z.string(), z.instanceof(Uint8Array)])),
});

/** Links, in what a checkpoint takes. */
export function storableLinks({ bound, epoch, secrets }: LinksMemory) {
  return { bound, epoch, secrets: secrets.map(([other, secret]) => [other, secret]) };
}

/** Who came later, as `storableIntroductions` made it and a file gives it back; of a file that is older nobody. */
export const storedIntroductionsSchema = z
  .strictObject({
    newcomers: z.array(newcomerSchema),
    asked: z.array(z.tuple([z.string(), z.instanceof(Uint8Array)])),
    given: z.array(
      z.tuple([z.string(), z.strictObject({ key: agreementKeySchema, welcome: z.instanceof(Uint8Array) })]),
    ),
    heard: z.array(voucherSchema).default([]),
    vouched: z.array(z.tuple([z.string(), z.array(z.int())])).default([]),
  })
  .default(() => ({ newcomers: [], asked: [], given: [], heard: [], vouched: [] }));

/** Who came later, in what a checkpoint takes. */
export function storableIntroductions(memory: IntroductionsMemory) {
  const { newcomers, asked, given, heard, vouched } = memory;
  return {
    newcomers: newcomers.map(({ seat: { id, agreementKey, signature }, stage }) => {
      return { seat: { id, agreementKey, signature }, stage };
    }),
    asked: asked.map(([id, secret]) => [id, secret]),
    given: given.map(([id, { key, welcome }]) => [id, { key, welcome }]),
    heard: heard.map(({ greeting, signature }) => ({ greeting: { ...greeting }, signature })),
    vouched: vouched.map(([id, stages]) => [id, [...stages]]),
  };
}
