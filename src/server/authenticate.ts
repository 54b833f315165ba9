import type { FastifyRequest } from 'fastify';
import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import { CLOCK_TOLERANCE_MS, readSignature, type SignedClaim } from '../wire/signed-request.ts';
import type { Aggregator } from './aggregator.ts';
import { replayed } from './recent-nonces.ts';

/** Checks signature and clock, before the body is read. Errors: those of `readSignature`. */
export function claimOf({ identity, clock }: Aggregator, request: FastifyRequest): SignedClaim {
  const { method, url: path, headers } = request;
  return readSignature(headers, { method, path }, { audience: identity.publicKey, nowMs: clock.now() });
}

/** Whether the body is the one that was signed. Errors: BODY_DIGEST. */
export function checkBody({ bodyDigest }: SignedClaim, body: Uint8Array): void {
  if (sha256(body) === bodyDigest) return;
  throw new PluralError('BODY_DIGEST', 'the body is not the one that was signed', {
    hint: 'It was changed or cut on its way; send it again.',
  });
}

/** Uses up the nonce of a request; the database keeps it as long as the signature could count. Errors: NONCE_REPLAYED. */
export async function spendNonce({ db }: Aggregator, claim: SignedClaim): Promise<void> {
  const { publicKey, nonce, timeMs } = claim;
  const inserted = await db
    .insertInto('nonces')
    .values({ public_key: publicKey, nonce, expires_at: timeMs + 2 * CLOCK_TOLERANCE_MS })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (inserted.numInsertedOrUpdatedRows === 1n) return;
  throw replayed();
}
