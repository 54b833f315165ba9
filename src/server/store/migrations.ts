import { type Kysely, type Migration, Migrator, sql } from 'kysely';
import { PluralError } from '../../core/errors.ts';
import type { Tables } from './tables.ts';

/**
 * Counts and times are `double precision`: whole numbers below 2^53 are exact in it, and the driver gives them as
 * numbers, where it gives `bigint` as text.
 */
const initial: Migration = {
  up: async (db) => {
    const statements = [
      sql`create table runs (
        id text primary key, digest text not null unique, definition jsonb not null, state jsonb not null,
        phase text not null, round integer not null, deadline_at double precision,
        strategy_state bytea not null, created_at double precision not null)`,
      sql`create index runs_phase on runs (phase, deadline_at)`,
      sql`create table members (
        run text not null references runs, group_id text not null, public_key text not null,
        joined_at double precision not null, left_at double precision, revoked_at double precision,
        last_seen_at double precision, primary key (run, group_id), unique (run, public_key))`,
      sql`create table invitations (
        token_digest text primary key, run text not null references runs, group_id text,
        expires_at double precision not null, public_key text)`,
      sql`create index invitations_expiry on invitations (expires_at)`,
      sql`create table nonces (
        public_key text not null, nonce text not null, expires_at double precision not null,
        primary key (public_key, nonce))`,
      sql`create index nonces_expiry on nonces (expires_at)`,
      sql`create table uploads (
        id text primary key, run text not null references runs, group_id text not null, digest text not null,
        size double precision not null, received double precision not null, offsets jsonb not null,
        complete boolean not null, touched_at double precision not null, unique (run, group_id, digest))`,
      sql`create index uploads_touched on uploads (touched_at)`,
      sql`create table submissions (
        run text not null references runs, round integer not null, step integer not null, group_id text not null,
        digest text not null, blob text not null, size double precision not null,
        capacity double precision not null, accepted_at double precision not null, kept boolean not null,
        primary key (run, round, step, group_id))`,
      sql`create index submissions_kept on submissions (run, round) where kept`,
      sql`create table models (
        run text not null references runs, round integer not null, record jsonb not null,
        uploaded_bytes double precision not null, published_at double precision not null,
        primary key (run, round))`,
      sql`create table scores (
        run text not null references runs, round integer not null, group_id text not null,
        alignment double precision not null, questions integer not null, loss double precision,
        primary key (run, round, group_id))`,
      sql`create table events (
        seq serial primary key, run text not null references runs, at double precision not null,
        type text not null, data jsonb not null)`,
      sql`create index events_run on events (run, seq)`,
    ];
    for (const statement of statements) await statement.execute(db);
  },
};

const sumsOnly: Migration = {
  up: async (db) => {
    await sql`alter table submissions add column note bytea`.execute(db);
    await sql`create table score_sums (
      run text not null references runs, round integer not null, groups integer not null,
      sum double precision not null, sum_of_squares double precision not null, primary key (run, round))`.execute(
      db,
    );
  },
};

const sharded: Migration = {
  up: async (db) => {
    const statements = [
      sql`create table keepers (
        run text not null references runs, public_key text not null, joined_at double precision not null,
        last_seen_at double precision, revoked_at double precision, stage integer, place integer,
        agreement_key text, seat_signature text, primary key (run, public_key))`,
      sql`alter table members add column agreement_key text`,
      sql`alter table members add column seat_signature text`,
      sql`alter table invitations add column role text not null default 'group'`,
      sql`alter table runs add column crew jsonb`,
    ];
    for (const statement of statements) await statement.execute(db);
  },
};

const newcomers: Migration = {
  up: async (db) => {
    await sql`alter table keepers add column late integer`.execute(db);
    await sql`alter table members add column late integer`.execute(db);
  },
};

const deposits: Migration = {
  up: async (db) => {
    await sql`create table deposits (
      run text not null references runs, stage integer not null, id text not null, epoch double precision not null,
      round double precision not null, keeper text not null, blob text not null, seq serial, primary key (run, stage, id))`.execute(
      db,
    );
  },
};

/** All migrations in order of their names; the same for the embedded database and for PostgreSQL. */
const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '001-initial': initial,
  '002-sums-only': sumsOnly,
  '003-sharded': sharded,
  '004-newcomers': newcomers,
  '005-deposits': deposits,
};

/**
 * Brings a schema up to date, and makes it where it is not there. Replicas that start at once wait for each other (Kysely
 * takes an advisory lock). `schema` is the one that `db` searches.
 */
export async function migrate(db: Kysely<Tables>, schema: string): Promise<void> {
  const provider = { getMigrations: async () => ({ ...MIGRATIONS }) };
  // Without its schema, Kysely takes the tables of another aggregator in the same database for ours.
  const migrator = new Migrator({ db, provider, migrationTableSchema: schema });
  const { error } = await migrator.migrateToLatest();
  if (error === undefined) return;
  throw new PluralError('STORE_UNAVAILABLE', 'the database could not be brought up to date', {
    hint: 'It may belong to a newer version, or its user may not create tables.',
    cause: error,
  });
}
