import { z } from 'zod';
import { PluralError } from '../core/errors.ts';
import { publicKeySchema } from './identity.ts';
import { groupIdSchema, runIdSchema } from './run-definition.ts';

/** What somebody is invited as. */
export const invitedRoleSchema = z.enum(['group', 'keeper']);

/** What a group is handed, on whatever way, to join a run: where, whom to trust, and a secret that works once. */
const invitationSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  run: runIdSchema,
  /** The aggregator's public key: the group trusts no other. */
  aggregatorKey: publicKeySchema,
  /** 64 hex digits; null where the group's key is on the allow-list already. */
  token: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  /** The id that the group must take; null leaves it to the group. */
  group: groupIdSchema.nullable(),
  /** Left out for a group. */
  role: invitedRoleSchema.optional(),
});
export type Invitation = z.output<typeof invitationSchema>;

const PREFIX = 'pluralllm-invitation-1.';

/** One word without spaces, to be mailed or pasted. */
export function encodeInvitation(invitation: Invitation): string {
  return PREFIX + Buffer.from(JSON.stringify(invitation), 'utf8').toString('base64url');
}

/** Errors: INVITATION_INVALID for what `encodeInvitation` did not write. */
export function decodeInvitation(text: string): Invitation {
  const word = text.trim();
  try {
    if (!word.startsWith(PREFIX)) throw new Error('it does not begin as an invitation does');
    const json = Buffer.from(word.slice(PREFIX.length), 'base64url').toString('utf8');
    return invitationSchema.parse(JSON.parse(json));
  } catch (thrown) {
    throw new PluralError('INVITATION_INVALID', 'this is not an invitation', {
      hint: 'Paste the whole word that "pluralllm aggregator invite" printed; it starts with pluralllm-invitation.',
      cause: thrown,
    });
  }
}
