import { randomBytes } from 'node:crypto';
import { PluralError } from '../core/errors.ts';
import { keyPairOf } from '../privacy/secure-sum/key-agreement.ts';
import { isOwnSeat } from '../sharding/frames/seats.ts';
import type { SeatRequest } from '../wire/sharding.ts';
import type { Aggregator } from './aggregator.ts';
import { changeRun, type LockedRun } from './locked-run.ts';
import {
  allowDigest,
  beginWhenReady,
  enrol,
  SEEN_EVERY_MS,
  spendInvitation,
  tokenDigest,
} from './members.ts';
import { lateCounts, seatedKeepers, shardingOf } from './seat-rows.ts';
import type { KeepersTable } from './store/tables.ts';

/** Who was not heard of for so many times the patience is as good as gone for who looks for a stage. */
const GONE = 2;

function noKeepers(run: string): PluralError {
  return new PluralError('CONFIG_CONFLICT', `run "${run}" has no keepers: every group has the whole model`, {
    hint: 'Only a run with "sharding" in its configuration has stages to keep.',
  });
}

/** The keeper of a run with this key; undefined where there is none. Errors: KEY_REVOKED. */
export async function keeperOf(
  { db }: Pick<Aggregator, 'db'>,
  run: string,
  publicKey: string,
): Promise<KeepersTable | undefined> {
  const keeper = await db
    .selectFrom('keepers')
    .selectAll()
    .where('run', '=', run)
    .where('public_key', '=', publicKey)
    .executeTakeFirst();
  if (keeper?.revoked_at != null) {
    throw new PluralError('KEY_REVOKED', 'the key of this keeper was revoked', {
      hint: 'Ask the people who run the aggregator.',
    });
  }
  return keeper;
}

/** Who has data in a run keeps no stage of it. Errors: STAGE_TAKEN. */
async function checkNoGroup({ tx, run }: LockedRun, publicKey: string): Promise<void> {
  const member = await tx
    .selectFrom('members')
    .select('group_id')
    .where('run', '=', run)
    .where('public_key', '=', publicKey)
    .executeTakeFirst();
  if (member === undefined) return;
  throw new PluralError('STAGE_TAKEN', `this key is group "${member.group_id}": it cannot keep a stage`, {
    hint: 'Let somebody else keep the stage, or make another folder with "keeper init".',
  });
}

/** Takes a keeper into a run; it has a stage once it has a seat. Joining twice changes nothing. Errors: CONFIG_CONFLICT, INVITATION_INVALID, STAGE_TAKEN, KEY_REVOKED. */
export function joinKeeper(aggregator: Aggregator, run: string, publicKey: string, token: string | null) {
  const now = aggregator.clock.now();
  return changeRun(aggregator, run, async (locked) => {
    const { definition, digest, tx } = locked;
    if (shardingOf(definition) === null) throw noKeepers(run);
    const before = await keeperOf({ db: tx }, run, publicKey);
    if (before === undefined) {
      await checkNoGroup(locked, publicKey);
      const invitation = token === null ? allowDigest(run, publicKey) : tokenDigest(token);
      await spendInvitation(locked, invitation, { publicKey, group: null, role: 'keeper', now });
      const none = { revoked_at: null, stage: null, place: null, agreement_key: null, seat_signature: null };
      await tx
        .insertInto('keepers')
        .values({ run, public_key: publicKey, joined_at: now, last_seen_at: now, ...none })
        .execute();
    }
    return { digest, definition, repeated: before !== undefined };
  });
}

/** The stage that fewest keep who are there, the first of several. Errors: RUN_FULL. */
async function freeStage(locked: LockedRun, now: number): Promise<{ stage: number; place: number }> {
  const { tx, run, definition, state } = locked;
  const { stages, standbys, patienceMs } = shardingOf(definition)!;
  const keepers = await seatedKeepers(tx, run);
  const waits = state.phase === 'waiting';
  // Each of them is told of a stage after every round: keepers refuse seats with more.
  if (waits && keepers.length >= stages + standbys) {
    throw new PluralError('RUN_FULL', `run "${run}" has its ${stages} keepers and ${standbys} who stand by`, {
      hint: 'No more are needed. sharding.standbys says how many stand by.',
    });
  }
  // Before the run begins nobody has to be there; later on who comes is for a stage that somebody left.
  const isThere = ({ last_seen_at: seen, revoked_at: revoked }: KeepersTable) =>
    revoked === null && (waits || (seen !== null && now - seen <= GONE * patienceMs + SEEN_EVERY_MS));
  const counts = Array.from({ length: stages }, (_, stage) =>
    keepers.reduce((sum, keeper) => sum + (keeper.stage === stage && isThere(keeper) ? 1 : 0), 0),
  );
  const stage = counts.indexOf(Math.min(...counts));
  return { stage, place: 1 + Math.max(0, ...keepers.map(({ place }) => place)) };
}

/**
 * In which order somebody takes a seat after the run began; null before that. Who is in the run learns of it and agrees on links.
 * Errors: RUN_FULL where as many came as the definition allows.
 */
async function lateOrder({ tx, run, definition, state }: LockedRun, what: 'keepers' | 'groups') {
  if (state.phase === 'waiting') return null;
  const { lateKeepers, lateGroups } = shardingOf(definition)!;
  const counts = await lateCounts(tx, run);
  const [setting, most] =
    what === 'keepers' ? (['lateKeepers', lateKeepers] as const) : (['lateGroups', lateGroups] as const);
  if (counts[what] < most) return 1 + counts.keepers + counts.groups;
  throw new PluralError('RUN_FULL', `run "${run}" has begun, and ${counts[what]} ${what} came after that`, {
    hint: `Its definition lets no more take a seat (sharding.${setting}=${most}).`,
  });
}

/**
 * Gives somebody a seat: a keeper with the stage that it keeps or stands by for, for the whole run; a group takes part from then on. The same again changes
 * nothing. Errors: RUN_FULL, STAGE_TAKEN for another agreement key than before or that of somebody else, REQUEST_MALFORMED for one that is none, SIGNATURE_INVALID, KEY_UNKNOWN.
 */
export function giveSeat(
  aggregator: Aggregator,
  run: string,
  publicKey: string,
  { agreementKey, signature }: SeatRequest,
): Promise<{ stage: number | null; standby: boolean }> {
  return changeRun(aggregator, run, async (locked) => {
    if (shardingOf(locked.definition) === null) throw noKeepers(run);
    if (!isOwnSeat(locked.digest, { id: publicKey, agreementKey, signature })) {
      throw new PluralError('SIGNATURE_INVALID', 'the seat is not signed by who takes it', {
        hint: 'The aggregator and this machine see the run differently: join again.',
      });
    }
    await checkAgreementKey(locked, publicKey, agreementKey);
    const seat = { agreement_key: agreementKey, seat_signature: signature };
    const keeper = await keeperOf({ db: locked.tx }, run, publicKey);
    if (keeper === undefined) return seatGroup(locked, publicKey, seat);
    return seatKeeper(locked, keeper, seat, aggregator.clock.now());
  });
}

/** One key that is none, or that two have, would end the run for all: their links follow from it, and they refuse such seats. Errors: REQUEST_MALFORMED, STAGE_TAKEN. */
async function checkAgreementKey({ tx, run }: LockedRun, publicKey: string, agreementKey: string) {
  if (keyPairOf(randomBytes(32)).agree(agreementKey) === null) {
    throw new PluralError('REQUEST_MALFORMED', 'the agreement key of the seat is no key', {
      hint: 'Use the same version of pluralllm as the aggregator.',
    });
  }
  for (const table of ['keepers', 'members'] as const) {
    const other = await tx
      .selectFrom(table)
      .select('public_key')
      .where('run', '=', run)
      .where('agreement_key', '=', agreementKey)
      .where('public_key', '!=', publicKey)
      .executeTakeFirst();
    if (other === undefined) continue;
    throw new PluralError('STAGE_TAKEN', 'somebody else has a seat with this agreement key', {
      hint: 'A folder is for one participant: make a new one in place of a copy.',
    });
  }
}

type SeatColumns = { readonly agreement_key: string; readonly seat_signature: string };

/** Whether the seat was taken before. Errors: STAGE_TAKEN. */
function isTaken(before: string | null, { agreement_key }: SeatColumns): boolean {
  if (before !== null && before !== agreement_key) {
    throw new PluralError('STAGE_TAKEN', 'this key has a seat with another agreement key', {
      hint: 'A folder that was lost cannot be replaced: make a new one.',
    });
  }
  return before !== null;
}

async function seatGroup(locked: LockedRun, publicKey: string, seat: SeatColumns) {
  const { tx, run } = locked;
  const member = await tx
    .selectFrom('members')
    .select(['group_id', 'agreement_key'])
    .where('run', '=', run)
    .where('public_key', '=', publicKey)
    .executeTakeFirstOrThrow();
  if (!isTaken(member.agreement_key, seat)) {
    const late = await lateOrder(locked, 'groups');
    await tx
      .updateTable('members')
      .set({ ...seat, late })
      .where('run', '=', run)
      .where('public_key', '=', publicKey)
      .execute();
    await enrol(locked, member.group_id);
  }
  return { stage: null, standby: false };
}

async function seatKeeper(locked: LockedRun, keeper: KeepersTable, seat: SeatColumns, now: number) {
  const { tx, run } = locked;
  const publicKey = keeper.public_key;
  if (!isTaken(keeper.agreement_key, seat)) {
    const late = await lateOrder(locked, 'keepers');
    const { stage, place } = await freeStage(locked, now);
    await tx
      .updateTable('keepers')
      .set({ ...seat, stage, place, late })
      .where('run', '=', run)
      .where('public_key', '=', publicKey)
      .execute();
    await beginWhenReady(locked);
  }
  const keepers = await seatedKeepers(tx, run);
  const own = keepers.find((one) => one.public_key === publicKey)!;
  const first = keepers.find((one) => one.stage === own.stage);
  return { stage: own.stage, standby: first?.public_key !== publicKey };
}

/** Takes a keeper's key away for good: it is served no more, and who stands by takes over. Before the run begins its seat is free again. Errors: KEY_UNKNOWN. */
export async function revokeKeeper(aggregator: Aggregator, run: string, publicKey: string): Promise<void> {
  const now = aggregator.clock.now();
  await changeRun(aggregator, run, async ({ tx, state }) => {
    const noSeat = { stage: null, place: null, agreement_key: null, seat_signature: null };
    const changed = await tx
      .updateTable('keepers')
      .set({ revoked_at: now, ...(state.phase === 'waiting' ? noSeat : {}) })
      .where('run', '=', run)
      .where('public_key', '=', publicKey)
      .executeTakeFirst();
    if (changed.numUpdatedRows > 0n) return;
    throw new PluralError('KEY_UNKNOWN', `no keeper with this key takes part in run "${run}"`, {
      hint: 'pluralllm aggregator status lists the keepers.',
    });
  });
}

/** Notes that a keeper was here, as often as it is worth it. */
export async function noteKeeperSeen({ db, clock }: Aggregator, keeper: KeepersTable): Promise<void> {
  const now = clock.now();
  if (keeper.last_seen_at !== null && now - keeper.last_seen_at < SEEN_EVERY_MS) return;
  await db
    .updateTable('keepers')
    .set({ last_seen_at: now })
    .where('run', '=', keeper.run)
    .where('public_key', '=', keeper.public_key)
    .execute();
}
