import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Kysely, PostgresDialect, type PostgresPool, sql } from 'kysely';
import pg from 'pg';
import { PluralError } from '../../core/errors.ts';
import { makeFolder } from '../../core/files.ts';
import { migrate } from './migrations.ts';
import { preparing } from './prepared.ts';
import type { Tables } from './tables.ts';

/** An open database, with the pool that other engines (job queues) may use too. */
export interface Database {
  readonly db: Kysely<Tables>;
  readonly pool: pg.Pool;
  /** Embedded, or a server that several replicas can share. */
  readonly kind: 'embedded' | 'postgres';
  /** Where the tables are. */
  readonly schema: string;
  /** What its owner must do now and then, when nobody else does. */
  maintain(): Promise<void>;
  close(): Promise<void>;
}

const EMBEDDED_SCHEMA = 'public';

/**
 * How the embedded server is started. Its own defaults leave fsync off and take 128 MB of buffers; with these an
 * acknowledged row survives a power failure, and the database takes about 200 MB of memory.
 */
const EMBEDDED_PARAMETERS = {
  search_path: EMBEDDED_SCHEMA,
  exit_on_error: 'false',
  log_checkpoints: 'false',
  max_worker_processes: '0',
  max_parallel_workers: '0',
  max_parallel_workers_per_gather: '0',
  max_parallel_maintenance_workers: '0',
  io_method: 'sync',
  fsync: 'on',
  shared_buffers: '16MB',
};

function startParameters(): string[] {
  const settings = Object.entries(EMBEDDED_PARAMETERS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['--single', '-O', '-j', ...settings];
}

function kyselyOf(pool: PostgresPool): Kysely<Tables> {
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
}

/**
 * What a PostgreSQL server does by itself, and the embedded one never: without it the replaced rows and the log would
 * grow for as long as the process lives, and with the log the time that a start after a kill takes.
 */
async function maintainEmbedded(db: Kysely<Tables>): Promise<void> {
  await sql`vacuum`.execute(db);
  await sql`checkpoint`.execute(db);
}

/**
 * The database inside the process, kept in a folder, or in memory where that is null. Only one process may open a
 * folder at a time: the caller holds a lock. Errors: FOLDER_NOT_READY, STORE_UNAVAILABLE.
 */
export async function openEmbedded(folder: string | null): Promise<Database> {
  if (folder !== null) makeFolder(folder);
  try {
    const [{ PGlite }, { createPgConfig }] = await Promise.all([
      import('@electric-sql/pglite'),
      import('@electric-sql/pglite/node-postgres'),
    ]);
    const place = folder === null ? {} : { dataDir: folder };
    const engine = await PGlite.create({ ...place, startParams: startParameters() });
    const pool = new pg.Pool({ ...createPgConfig(engine), max: 1 });
    const db = kyselyOf(preparing(pool));
    await migrate(db, EMBEDDED_SCHEMA);
    const close = async () => {
      await db.destroy();
      await engine.close();
    };
    const maintain = () => maintainEmbedded(db);
    return { db, pool, kind: 'embedded', schema: EMBEDDED_SCHEMA, maintain, close };
  } catch (thrown) {
    throw unavailable(`the embedded database ${folder ?? ''}`, thrown);
  }
}

/** Whether there is an embedded database in this folder. */
export function hasEmbedded(folder: string): boolean {
  return existsSync(join(folder, 'PG_VERSION'));
}

/** What needs no quotes, and leaves room for the suffix of the queue's own schema in the 50 that pg-boss takes. */
const SCHEMA = /^[a-z_][a-z0-9_]{0,44}$/;

/**
 * A replica that hangs in the middle of a change, or whose network is gone, keeps the run from the others for no longer
 * than this, in milliseconds. Far above any pause of a process that lives.
 */
const IDLE_IN_TRANSACTION_MS = 30_000;

function poolOf(connectionString: string, schema: string): pg.Pool {
  const settings = { search_path: schema, idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS };
  const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  const pool = new pg.Pool({ connectionString, max: 8, options: options.join(' '), keepAlive: true });
  // An error that nobody listens to would end the process. Whoever uses the connection that breaks is told by its
  // statement; the others get a new one.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/**
 * A PostgreSQL server by its URL. `schema` keeps several aggregators apart in one database. Errors: CONFIG_INVALID,
 * STORE_UNAVAILABLE.
 */
export async function openPostgres(url: string, schema = 'pluralllm'): Promise<Database> {
  if (!SCHEMA.test(schema)) {
    throw new PluralError('CONFIG_INVALID', `"${schema}" is not a name for a schema`, {
      hint: 'Use lower-case letters, digits and "_", at most 45.',
    });
  }
  const pool = poolOf(url, schema);
  try {
    const db = kyselyOf(pool);
    await migrate(db, schema);
    return { db, pool, kind: 'postgres', schema, maintain: async () => undefined, close: () => db.destroy() };
  } catch (thrown) {
    await pool.end();
    throw unavailable('PostgreSQL', thrown);
  }
}

function unavailable(what: string, thrown: unknown): PluralError {
  if (thrown instanceof PluralError) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new PluralError('STORE_UNAVAILABLE', `${what} cannot be opened: ${reason}`, {
    hint: 'Check that it runs, its address, and who may use it.',
    cause: thrown,
  });
}
