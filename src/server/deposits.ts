import type { Kysely } from 'kysely';
import { PluralError } from '../core/errors.ts';
import { newestOf } from '../sharding/deposits/newest.ts';
import { depositRefused, readDeposit } from '../sharding/deposits/stage-deposit.ts';
import { firstKeeping } from '../sharding/frames/seats.ts';
import type { Aggregator } from './aggregator.ts';
import { changeRun, type LockedRun } from './locked-run.ts';
import { seatsOf, shardingOf } from './seat-rows.ts';
import type { DepositsTable, KeepersTable, Tables } from './store/tables.ts';

/** A deposit that is there, as the course of a run goes by it. */
export type DepositRow = Pick<DepositsTable, 'stage' | 'id' | 'epoch' | 'round' | 'blob'> & {
  /** Public key of who left it. */
  readonly from: string;
};

/** Where a deposit lies. */
function depositKey(run: string, stage: number, id: string): string {
  return `deposits/${run}/${stage}/${id}`;
}

/** The deposits of a run, in the order in which they came. */
export function depositsOf(db: Kysely<Tables>, run: string): Promise<DepositRow[]> {
  const columns = ['stage', 'id', 'epoch', 'round', 'keeper as from', 'blob'] as const;
  return db.selectFrom('deposits').select(columns).where('run', '=', run).orderBy('seq').execute();
}

/** Who keeps a stage leaves it. Errors: DEPOSIT_REFUSED for that of another stage or run, or of an epoch that there is not yet, of who only stands by, for what is none, and where the run has no deposits. */
async function checkDepositor(
  { db }: Aggregator,
  run: string,
  keeper: KeepersTable | null,
  bytes: Uint8Array,
) {
  const { header } = readDeposit(bytes);
  const { digest, crew, definition } = await db
    .selectFrom('runs')
    .select(['digest', 'crew', 'definition'])
    .where('id', '=', run)
    .executeTakeFirstOrThrow();
  if (!shardingOf(definition)?.recovery) throw depositRefused('this run has no deposits');
  const keeping = crew?.keeping ?? firstKeeping((await seatsOf(db, run)).seats);
  const isOwn = header.from === keeper?.public_key && header.run === digest;
  if (!isOwn || keeping[header.stage] !== header.from)
    throw depositRefused('its sender does not keep this stage');
  // It would push out all that whoever keeps the stage later leaves.
  if (header.epoch > (crew?.kept ?? 0)) throw depositRefused('it is of an epoch that has not begun');
  return header;
}

/** Takes note of a deposit, and gives up those that it makes too old; where their bytes lie. */
async function note(
  { tx, run }: LockedRun,
  { stage, id, epoch, round, from, blob }: DepositRow,
): Promise<string[]> {
  const values = { run, stage, id, epoch, round, keeper: from, blob };
  await tx
    .insertInto('deposits')
    .values(values)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const own = (await depositsOf(tx, run)).filter((one) => one.stage === stage);
  const kept = newestOf(own);
  const old = own.filter((one) => !kept.includes(one));
  if (old.length === 0) return [];
  const ids = old.map((one) => one.id);
  await tx
    .deleteFrom('deposits')
    .where('run', '=', run)
    .where('stage', '=', stage)
    .where('id', 'in', ids)
    .execute();
  return old.map((one) => one.blob);
}

/** Keeps a stage that its keeper left, with the one before it; older ones go, and all of an earlier epoch. Errors: as `checkDepositor`; those of the stores. */
export async function takeDeposit(
  aggregator: Aggregator,
  run: string,
  keeper: KeepersTable | null,
  bytes: Uint8Array,
): Promise<void> {
  const { blobs } = aggregator;
  const { stage, id, epoch, round, from } = await checkDepositor(aggregator, run, keeper, bytes);
  const blob = depositKey(run, stage, id);
  await blobs.write(blob, bytes, { durable: true });
  const row = { stage, id, epoch, round, from, blob };
  const old = await changeRun(aggregator, run, (locked) => note(locked, row));
  await blobs.delete(old);
}

/** What was left of a stage, for who may keep it. Errors: DEPOSIT_REFUSED. */
export async function storedDeposit(
  { db, blobs }: Aggregator,
  run: string,
  keeper: KeepersTable | null,
  { stage, id }: Pick<DepositRow, 'stage' | 'id'>,
): Promise<Uint8Array> {
  if (keeper?.stage !== stage) {
    throw new PluralError('STAGE_TAKEN', `this key may not keep stage ${stage}`, {
      hint: 'What is left of a stage is for those who stand by for it.',
    });
  }
  const row = (await depositsOf(db, run)).find((one) => one.stage === stage && one.id === id);
  const bytes = row === undefined ? null : await blobs.read(row.blob);
  if (row === undefined || bytes === null) throw depositRefused('the aggregator has none of this id');
  const { header } = readDeposit(bytes);
  // Who left it may have left another one by the same id since.
  if (header.epoch === row.epoch && header.round === row.round && header.from === row.from) return bytes;
  throw depositRefused('it is another one than was noted');
}
