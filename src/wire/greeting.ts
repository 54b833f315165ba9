import { z } from 'zod';
import { publicKeySchema, signatureSchema } from './identity.ts';
import { countSchema, digestSchema } from './run-definition.ts';

export const agreementKeySchema = z.string().regex(/^[0-9a-f]{64}$/, 'not an agreement key: 64 hex digits');

/** Of whom and for whom; stage: that of the receiver, as the sender knows it; null of a group. */
const address = {
  run: digestSchema,
  from: publicKeySchema,
  to: publicKeySchema,
  stage: countSchema.nullable(),
};

const helloSchema = z.strictObject({
  kind: z.literal('hello'),
  ...address,
  /** X25519, for this link alone. */
  key: agreementKeySchema,
});

const welcomeSchema = z.strictObject({
  kind: z.literal('welcome'),
  ...address,
  key: agreementKeySchema,
  /** The key that it answers. */
  answers: agreementKeySchema,
  /** Epoch of the link that both come to. */
  epoch: countSchema,
});

/** A greeting as who got it shows it to others: who sent it knows the receiver as keeper of a stage. */
export const voucherSchema = z.strictObject({
  greeting: z.discriminatedUnion('kind', [helloSchema, welcomeSchema]),
  signature: signatureSchema,
});
export type Voucher = z.output<typeof voucherSchema>;

/** By which somebody who came after a sharded run began agrees on a link with who was there before, and shows who knows it. */
const greetingSchema = z.discriminatedUnion('kind', [
  helloSchema,
  welcomeSchema,
  z.strictObject({ kind: z.literal('vouched'), ...address, vouchers: z.array(voucherSchema).max(256) }),
]);
export type Greeting = z.output<typeof greetingSchema>;

export const signedGreetingSchema = z.strictObject({ greeting: greetingSchema, signature: signatureSchema });
export type SignedGreeting = z.output<typeof signedGreetingSchema>;
