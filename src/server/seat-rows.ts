import type { Kysely } from 'kysely';
import { parseConfig } from '../config/config.ts';
import { optionsOf } from '../config/round-plugins.ts';
import { stagedOptions } from '../predictor/staged/options.ts';
import type { Seat, Seats } from '../sharding/frames/seats.ts';
import type { RunDefinition } from '../wire/run-definition.ts';
import type { LockedRun } from './locked-run.ts';
import type { KeepersTable, Tables } from './store/tables.ts';

/** A row with a seat. */
type Seated<Row> = Row & { readonly agreement_key: string; readonly seat_signature: string };
type SeatedKeeper = Seated<KeepersTable> & { readonly stage: number; readonly place: number };

function isSeated<Row extends { agreement_key: string | null; seat_signature: string | null }>(
  row: Row,
): row is Seated<Row> {
  return row.agreement_key !== null && row.seat_signature !== null;
}

/** How many stages a model has, and how many must stand by for them. */
export interface Sharding {
  readonly stages: number;
  readonly standbys: number;
}

/** How many stages a run's model has and how many must stand by for them; null where the run has no keepers. */
export function shardingOf({ plan }: RunDefinition): Sharding | null {
  return shardingIn(plan.config);
}

/** The same of a configuration as a definition has it. */
export function shardingIn(config: unknown): Sharding | null {
  const { sharding, predictor } = parseConfig(config);
  if (sharding === null) return null;
  return { stages: stagedOptions.parse(optionsOf(predictor)).stages, standbys: sharding.standbys };
}

/** The keepers of a run that have a seat, in the order in which they took them. */
export async function seatedKeepers(db: Kysely<Tables>, run: string): Promise<SeatedKeeper[]> {
  const rows = await db.selectFrom('keepers').selectAll().where('run', '=', run).orderBy('place').execute();
  return rows.flatMap((row) => {
    const { stage, place } = row;
    return isSeated(row) && stage !== null && place !== null ? [{ ...row, stage, place }] : [];
  });
}

/** Whether a run may begin as far as its keepers go. */
export async function canBegin({ tx, run, definition }: LockedRun): Promise<boolean> {
  const sharding = shardingOf(definition);
  if (sharding === null) return true;
  const keepers = await seatedKeepers(tx, run);
  const kept = new Set(keepers.map(({ stage }) => stage));
  return kept.size === sharding.stages && keepers.length >= sharding.stages + sharding.standbys;
}

function seatOf(id: string, { agreement_key, seat_signature }: Seated<object>): Seat {
  return { id, agreementKey: agreement_key, signature: seat_signature };
}

/** All seats of a run; whoever asks looks first whether it has begun, for until then there may be more. */
export async function seatsOf(db: Kysely<Tables>, run: string): Promise<Seats> {
  const keepers = await seatedKeepers(db, run);
  const groups = await db
    .selectFrom('members')
    .selectAll()
    .where('run', '=', run)
    .orderBy('group_id')
    .execute();
  const firsts = keepers.filter(
    ({ stage }, index) => keepers.findIndex((one) => one.stage === stage) === index,
  );
  const others = keepers.filter((keeper) => !firsts.includes(keeper));
  return {
    keepers: firsts.sort((a, b) => a.stage - b.stage).map((row) => seatOf(row.public_key, row)),
    standbys: others.map((row) => ({ stage: row.stage, seat: seatOf(row.public_key, row) })),
    groups: groups.flatMap((row) => (isSeated(row) ? [seatOf(row.public_key, row)] : [])),
  };
}
