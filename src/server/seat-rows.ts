import type { Kysely } from 'kysely';
import { parseConfig } from '../config/config.ts';
import { optionsOf } from '../config/round-plugins.ts';
import { stagedOptions } from '../predictor/staged/options.ts';
import type { Newcomer, Seat, Seats } from '../sharding/frames/seats.ts';
import type { RunDefinition } from '../wire/run-definition.ts';
import type { LockedRun } from './locked-run.ts';
import type { KeepersTable, MembersTable, Tables } from './store/tables.ts';

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
  /** How many keepers and groups may take a seat after the run began. */
  readonly lateKeepers: number;
  readonly lateGroups: number;
  readonly patienceMs: number;
}

/** How many stages a run's model has and how many must stand by for them; null where the run has no keepers. */
export function shardingOf({ plan }: RunDefinition): Sharding | null {
  return shardingIn(plan.config);
}

/** The same of a configuration as a definition has it. */
export function shardingIn(config: unknown): Sharding | null {
  const { sharding, predictor } = parseConfig(config);
  if (sharding === null) return null;
  const { standbys, lateKeepers, lateGroups, patienceSeconds } = sharding;
  const { stages } = stagedOptions.parse(optionsOf(predictor));
  return { stages, standbys, lateKeepers, lateGroups, patienceMs: 1000 * patienceSeconds };
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

/** The groups of a run that have a seat. */
async function seatedGroups(db: Kysely<Tables>, run: string): Promise<Seated<MembersTable>[]> {
  const rows = await db
    .selectFrom('members')
    .selectAll()
    .where('run', '=', run)
    .orderBy('group_id')
    .execute();
  return rows.filter(isSeated);
}

/** How many took a seat after the run began. */
export async function lateCounts(db: Kysely<Tables>, run: string) {
  const keepers = (await seatedKeepers(db, run)).filter(({ late }) => late !== null).length;
  const groups = (await seatedGroups(db, run)).filter(({ late }) => late !== null).length;
  return { keepers, groups };
}

/** Seats of a run. */
export interface RunSeats {
  /** Those of the beginning: whoever asks looks first whether it has begun, for until then there may be more. */
  readonly seats: Seats;
  /** In the order in which they came. */
  readonly newcomers: readonly Newcomer[];
}

/** All seats of a run. */
export async function seatsOf(db: Kysely<Tables>, run: string): Promise<RunSeats> {
  const [allKeepers, allGroups] = [await seatedKeepers(db, run), await seatedGroups(db, run)];
  const late = [...allKeepers, ...allGroups.map((row) => ({ ...row, stage: null }))]
    .filter((row) => row.late !== null)
    .sort((a, b) => a.late! - b.late!)
    .map((row) => ({ seat: seatOf(row.public_key, row), stage: row.stage }));
  const first = firstSeats(
    allKeepers.filter((row) => row.late === null),
    allGroups.filter((row) => row.late === null),
  );
  return { seats: first, newcomers: late };
}

function firstSeats(keepers: readonly SeatedKeeper[], groups: readonly Seated<MembersTable>[]): Seats {
  const firsts = keepers.filter(
    ({ stage }, index) => keepers.findIndex((one) => one.stage === stage) === index,
  );
  const others = keepers.filter((keeper) => !firsts.includes(keeper));
  return {
    keepers: firsts.sort((a, b) => a.stage - b.stage).map((row) => seatOf(row.public_key, row)),
    standbys: others.map((row) => ({ stage: row.stage, seat: seatOf(row.public_key, row) })),
    groups: groups.map((row) => seatOf(row.public_key, row)),
  };
}
