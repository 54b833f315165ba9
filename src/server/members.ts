import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import { neededToBegin } from '../round/aggregator-state.ts';
import type { JoinAnswer, JoinRequest } from '../wire/http.ts';
import type { Aggregator } from './aggregator.ts';
import { changeRun, type LockedRun } from './locked-run.ts';
import { canBegin, shardingOf } from './seat-rows.ts';
import type { InvitedRole, MembersTable } from './store/tables.ts';

/** A group in a run, as its requests are checked against. */
export type Member = MembersTable;

/** The member of a run with this key. Errors: KEY_UNKNOWN, KEY_REVOKED. */
export async function memberOf({ db }: Aggregator, run: string, publicKey: string): Promise<Member> {
  const member = await db
    .selectFrom('members')
    .selectAll()
    .where('run', '=', run)
    .where('public_key', '=', publicKey)
    .executeTakeFirst();
  if (member === undefined) {
    throw new PluralError('KEY_UNKNOWN', `no group with this key takes part in run "${run}"`, {
      hint: 'Join first: pluralllm group join <folder> <invitation>',
    });
  }
  checkNotRevoked(member);
  return member;
}

function checkNotRevoked({ group_id, revoked_at }: Member): void {
  if (revoked_at === null) return;
  throw new PluralError('KEY_REVOKED', `the key of group "${group_id}" was revoked`, {
    hint: 'Ask the people who run the aggregator.',
  });
}

/** How often the time of somebody's last request is written down. */
export const SEEN_EVERY_MS = 5000;

/** Notes that a group was here. */
export async function noteSeen(aggregator: Aggregator, member: Member): Promise<void> {
  const now = aggregator.clock.now();
  if (member.last_seen_at !== null && now - member.last_seen_at < SEEN_EVERY_MS) return;
  await aggregator.db
    .updateTable('members')
    .set({ last_seen_at: now })
    .where('run', '=', member.run)
    .where('group_id', '=', member.group_id)
    .execute();
}

function taken(message: string): PluralError {
  return new PluralError('GROUP_TAKEN', message, {
    hint: 'Join under another id (--group), or with the folder that joined before.',
  });
}

/** The row of a group that joined before with the same key; null where the name and the key are new. */
async function earlier(locked: LockedRun, publicKey: string, group: string): Promise<Member | null> {
  const rows = await locked.tx
    .selectFrom('members')
    .selectAll()
    .where('run', '=', locked.run)
    .where((where) => where.or([where('public_key', '=', publicKey), where('group_id', '=', group)]))
    .execute();
  const [first] = rows;
  if (first === undefined) return null;
  for (const row of rows) checkNotRevoked(row);
  const same = first.public_key === publicKey && first.group_id === group && rows.length === 1;
  if (!same) {
    throw taken(
      rows.some((row) => row.group_id === group)
        ? `a group "${group}" takes part with another key`
        : `this key takes part as group "${first.group_id}"`,
    );
  }
  return first;
}

/** Who wants to be admitted; a keeper has no name. */
interface Admitted {
  readonly publicKey: string;
  readonly group: string | null;
  readonly role: InvitedRole;
  readonly now: number;
}

/** Uses up an invitation. Errors: INVITATION_INVALID. */
export async function spendInvitation(
  { tx, run }: LockedRun,
  digest: string,
  { publicKey, group, role, now }: Admitted,
): Promise<void> {
  const invitation = await tx
    .selectFrom('invitations')
    .selectAll()
    .where('token_digest', '=', digest)
    .where('run', '=', run)
    .executeTakeFirst();
  const problem =
    invitation === undefined
      ? 'it is not known here, or was used'
      : invitation.expires_at <= now
        ? 'it has expired'
        : invitation.role !== role
          ? `it is for a ${invitation.role}`
          : invitation.group_id !== null && invitation.group_id !== group
            ? `it is for group "${invitation.group_id}"`
            : invitation.public_key !== null && invitation.public_key !== publicKey
              ? 'it is for another key'
              : null;
  if (problem !== null) {
    throw new PluralError('INVITATION_INVALID', `the invitation does not admit this ${role}: ${problem}`, {
      hint: 'Ask the people who run the aggregator for a new one.',
    });
  }
  await tx.deleteFrom('invitations').where('token_digest', '=', digest).execute();
}

/** Name of the allow-list's entry of a key. */
export function allowDigest(run: string, publicKey: string): string {
  return sha256('pluralllm-allow', run, publicKey);
}

/** Name of an invitation: its token is kept nowhere. */
export function tokenDigest(token: string): string {
  return sha256('pluralllm-token', token);
}

/** Who keeps a stage has no data in the run. Errors: STAGE_TAKEN. */
async function checkNoKeeper({ tx, run }: LockedRun, publicKey: string): Promise<void> {
  const keeper = await tx
    .selectFrom('keepers')
    .select('run')
    .where('run', '=', run)
    .where('public_key', '=', publicKey)
    .executeTakeFirst();
  if (keeper === undefined) return;
  throw new PluralError('STAGE_TAKEN', 'this key is a keeper of the run: it cannot be a group as well', {
    hint: 'Join with the folder of a group.',
  });
}

/** Takes a group into the rounds. */
export async function enrol(locked: LockedRun, group: string): Promise<void> {
  if (!locked.state.enrolled.includes(group)) {
    await locked.deliver({ type: 'join', group });
    await locked.event('joined', { group });
  }
  await beginWhenReady(locked);
}

/** Begins a run that waits for nobody any more: enough groups, and in a sharded run enough keepers. */
export async function beginWhenReady(locked: LockedRun): Promise<void> {
  const { phase, enrolled } = locked.state;
  if (phase !== 'waiting' || enrolled.length < neededToBegin(locked.state)) return;
  if (await canBegin(locked)) await locked.deliver({ type: 'start' });
}

/** Errors: RUN_FULL. */
function checkRoom({ state, run }: LockedRun, group: string, most: number): void {
  if (state.enrolled.length < most || state.enrolled.includes(group)) return;
  throw new PluralError('RUN_FULL', `run "${run}" has room for ${most} groups, and as many have joined`, {
    hint: 'Ask the people who run the aggregator for a run with more room (protection.mostGroups).',
  });
}

/**
 * Takes a group into a run; it takes part from the next round on, and the run starts when as many have joined as it
 * needs. Joining twice changes nothing. `most`: the groups that the run has room for. Errors: RUN_FULL, INVITATION_INVALID, GROUP_TAKEN, KEY_REVOKED, AGGREGATOR_UNKNOWN_RUN.
 */
export function join(
  aggregator: Aggregator,
  run: string,
  publicKey: string,
  { group, token }: JoinRequest,
  most = Number.POSITIVE_INFINITY,
): Promise<JoinAnswer> {
  const now = aggregator.clock.now();
  return changeRun(aggregator, run, async (locked) => {
    const before = await earlier(locked, publicKey, group);
    const { digest, definition } = locked;
    checkRoom(locked, group, most);
    if (before === null) {
      const invitation = token === null ? allowDigest(run, publicKey) : tokenDigest(token);
      await checkNoKeeper(locked, publicKey);
      await spendInvitation(locked, invitation, { publicKey, group, role: 'group', now });
      const fresh = { run, group_id: group, public_key: publicKey, joined_at: now, last_seen_at: now };
      const none = { left_at: null, revoked_at: null, agreement_key: null, seat_signature: null };
      await locked.tx
        .insertInto('members')
        .values({ ...fresh, ...none })
        .execute();
    } else if (before.left_at !== null) await markLeft(locked, group, { left_at: null });
    // In a sharded run who has no seat yet takes part when it has one.
    if (shardingOf(locked.definition) === null || before?.agreement_key != null) await enrol(locked, group);
    return { group, digest, definition, repeated: before !== null };
  });
}

async function markLeft(
  { tx, run }: LockedRun,
  group: string,
  change: { left_at?: number | null; revoked_at?: number },
): Promise<void> {
  await tx.updateTable('members').set(change).where('run', '=', run).where('group_id', '=', group).execute();
}

/** A group leaves: it is not waited for any more; what it sent stays in the round. It may join again with its key. */
export async function leave(aggregator: Aggregator, run: string, group: string): Promise<void> {
  const now = aggregator.clock.now();
  await changeRun(aggregator, run, async (locked) => {
    if (!locked.state.enrolled.includes(group)) return;
    await markLeft(locked, group, { left_at: now });
    await locked.event('left', { group });
    await locked.deliver({ type: 'leave', group });
  });
}

/** Takes a group's key away for good. Errors: DATA_UNKNOWN_GROUP. */
export async function revoke(aggregator: Aggregator, run: string, group: string): Promise<void> {
  const now = aggregator.clock.now();
  await changeRun(aggregator, run, async (locked) => {
    const changed = await locked.tx
      .updateTable('members')
      .set({ revoked_at: now })
      .where('run', '=', run)
      .where('group_id', '=', group)
      .executeTakeFirst();
    if (changed.numUpdatedRows === 0n) {
      throw new PluralError('DATA_UNKNOWN_GROUP', `no group "${group}" has joined run "${run}"`, {
        hint: 'pluralllm aggregator status lists the groups.',
      });
    }
    await locked.event('left', { group });
    await locked.deliver({ type: 'leave', group });
  });
}
