import { z } from 'zod';
import { publicKeySchema, signatureSchema } from './identity.ts';
import { countSchema, digestSchema } from './run-definition.ts';

export const agreementKeySchema = z.string().regex(/^[0-9a-f]{64}$/, 'not an agreement key: 64 hex digits');

/** By which somebody who came after a sharded run began agrees on a link with who was there before. */
const greetingSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('hello'),
    run: digestSchema,
    from: publicKeySchema,
    to: publicKeySchema,
    /** X25519, for this link alone. */
    key: agreementKeySchema,
  }),
  z.strictObject({
    kind: z.literal('welcome'),
    run: digestSchema,
    from: publicKeySchema,
    to: publicKeySchema,
    key: agreementKeySchema,
    /** The key that it answers. */
    answers: agreementKeySchema,
    /** Epoch of the link that both come to. */
    epoch: countSchema,
  }),
]);
export type Greeting = z.output<typeof greetingSchema>;

export const signedGreetingSchema = z.strictObject({ greeting: greetingSchema, signature: signatureSchema });
export type SignedGreeting = z.output<typeof signedGreetingSchema>;
