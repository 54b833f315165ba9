import { bytesFrom } from '../../core/bytes.ts';
import { PluralError } from '../../core/errors.ts';
import type { Invitation } from '../../wire/invitation.ts';
import { runDigest } from '../../wire/run-definition.ts';
import type { AggregatorApi } from '../api.ts';
import type { KeeperHome, KeeperMembership } from './keeper-home.ts';
import { takeOwnSeat } from './seats.ts';
import { shardedPlan } from './sharded-plan.ts';

export interface KeeperJoinOptions {
  readonly home: KeeperHome;
  readonly invitation: Invitation;
  readonly api: AggregatorApi;
  /** Certificates in PEM. */
  readonly ca: string | null;
  /** Public keys of the keepers that it accepts, its own among them or not; null: any. */
  readonly keepers: readonly string[] | null;
}

/** A folder keeps one stage of one run. Errors: RUN_EXISTS. */
function checkFolder(home: KeeperHome, { run, aggregatorKey }: Invitation): void {
  const before = home.membershipOrNull();
  if (before === null || (before.run === run && before.aggregatorKey === aggregatorKey)) return;
  throw new PluralError('RUN_EXISTS', `${home.folder} keeps a stage of run "${before.run}"`, {
    hint: 'Make another folder for another run: pluralllm keeper init <folder>',
  });
}

/**
 * Joins a sharded run as a keeper, and takes a seat: the aggregator says for which stage. Joining again changes nothing but the list of keepers that it accepts, where there is one. Errors: those of the aggregator (INVITATION_INVALID, STAGE_TAKEN,
 * RUN_FULL, ...), AGGREGATOR_UNTRUSTED, CONFIG_CONFLICT for a run without keepers, RUN_EXISTS for a folder that keeps a stage of another run.
 */
export async function joinAsKeeper({
  home,
  invitation,
  api,
  ca,
  keepers,
}: KeeperJoinOptions): Promise<KeeperMembership> {
  checkFolder(home, invitation);
  const { url, run, aggregatorKey, token } = invitation;
  await api.info();
  const { digest, definition } = await api.joinKeeper(token);
  if (runDigest(definition) !== digest || definition.run !== run) {
    throw new PluralError(
      'AGGREGATOR_UNTRUSTED',
      `the definition of run "${run}" is not what its digest says`,
      {
        hint: 'The keeper took no seat. Ask the people who run the aggregator.',
      },
    );
  }
  shardedPlan(definition);
  const before = home.membershipOrNull();
  const accepted = keepers === null ? null : [...new Set([...keepers, home.identity().publicKey])];
  // What a stage was begun with is gone once it is stored: only who is accepted can change.
  if (before !== null && home.hasStage) {
    const after = accepted === null ? before : { ...before, keepers: accepted };
    home.saveMembership(after);
    return after;
  }
  const secret = bytesFrom(home.seatSecrets().agreement);
  const { stage, standby } = await takeOwnSeat(api, digest, home.identity(), secret);
  if (stage === null) {
    throw new PluralError('AGGREGATOR_FAILED', 'the aggregator gave this keeper no stage', {
      hint: 'Use the same version of pluralllm as the aggregator.',
    });
  }
  const membership: KeeperMembership = {
    format: 1,
    url,
    run,
    aggregatorKey,
    ca,
    definition,
    stage,
    standby,
    keepers: accepted,
  };
  home.saveMembership(membership);
  return membership;
}
