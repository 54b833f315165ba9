import type { InviteRequest } from '../wire/http.ts';
import { freshSecret } from '../wire/identity.ts';
import type { Aggregator } from './aggregator.ts';
import { allowDigest, tokenDigest } from './members.ts';
import { checkRun } from './runs.ts';

/** Expiry of an entry of the allow-list: none. */
const NEVER = Number.MAX_SAFE_INTEGER;

/** Makes invitations that each admit one group once; their tokens are kept nowhere. Errors: AGGREGATOR_UNKNOWN_RUN. */
export async function invite(
  aggregator: Aggregator,
  run: string,
  { group, count, expiresInMs, role = 'group' }: InviteRequest,
): Promise<{ run: string; tokens: string[]; expiresAt: number }> {
  await checkRun(aggregator, run);
  const expiresAt = aggregator.clock.now() + expiresInMs;
  const tokens = Array.from({ length: count }, freshSecret);
  const rows = tokens.map((token) => ({
    token_digest: tokenDigest(token),
    run,
    group_id: group,
    expires_at: expiresAt,
    public_key: null,
    role,
  }));
  await aggregator.db.insertInto('invitations').values(rows).execute();
  return { run, tokens, expiresAt };
}

/** Puts a key on the run's allow-list, under the group id that it must take. Errors: AGGREGATOR_UNKNOWN_RUN. */
export async function allow(
  aggregator: Aggregator,
  run: string,
  group: string,
  publicKey: string,
): Promise<void> {
  await checkRun(aggregator, run);
  await aggregator.db
    .insertInto('invitations')
    .values({
      token_digest: allowDigest(run, publicKey),
      run,
      group_id: group,
      expires_at: NEVER,
      public_key: publicKey,
    })
    .onConflict((conflict) => conflict.column('token_digest').doUpdateSet({ group_id: group }))
    .execute();
}
