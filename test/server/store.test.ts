import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { changeRun } from '../../src/server/locked-run.ts';
import { createRun } from '../../src/server/runs.ts';
import { type Database, openEmbedded, openPostgres } from '../../src/server/store/database.ts';
import { asStoreError } from '../../src/server/store/trouble.ts';
import { eventually } from '../conformance/fold-jobs.ts';
import { storeConformance } from '../conformance/store.ts';
import { temporaryFolder } from '../support/cli.ts';
import { freshDatabase, testDatabaseUrl, testPool, WITHOUT_DATABASE } from '../support/postgres.ts';
import { openTestAggregator, tinyPlan } from '../support/test-aggregator.ts';

storeConformance({
  name: 'embedded',
  open: async () => {
    const database = await openEmbedded(null);
    return [database, database];
  },
});

test('the embedded database of a folder has what was committed when it is opened again', async () => {
  const folder = `${temporaryFolder()}/database`;
  const first = await openEmbedded(folder);
  await first.db.insertInto('nonces').values({ public_key: 'k', nonce: 'n', expires_at: 1.5 }).execute();
  await first.close();
  const again = await openEmbedded(folder);
  expect(await again.db.selectFrom('nonces').selectAll().execute()).toEqual([
    { public_key: 'k', nonce: 'n', expires_at: 1.5 },
  ]);
  await again.close();
});

test('maintenance keeps the embedded database from growing with what is replaced', async () => {
  const database = await openEmbedded(null);
  const { db } = database;
  const row = { token_digest: 't', run: 'r', group_id: null, expires_at: 1, public_key: null };
  await sql`alter table invitations drop constraint invitations_run_fkey`.execute(db);
  await db.insertInto('invitations').values(row).execute();
  const replaceOften = async () => {
    for (let turn = 0; turn < 20; turn++) {
      const large = randomBytes(60_000).toString('hex');
      await db.updateTable('invitations').set({ public_key: large }).execute();
    }
  };
  const figures = async () => {
    const { rows } = await sql<{ table: number; log: number }>`
      select pg_total_relation_size('invitations')::float8 as table,
        (pg_current_wal_lsn() - redo_lsn)::float8 as log from pg_control_checkpoint()`.execute(db);
    return rows[0]!;
  };
  await replaceOften();
  const before = await figures();
  await database.maintain();
  const first = await figures();
  // What a start after a kill would have to go through.
  expect(before.log).toBeGreaterThan(1e6);
  expect(first.log).toBeLessThan(1e5);
  for (let round = 0; round < 3; round++) {
    await replaceOften();
    await database.maintain();
  }
  const last = await figures();
  expect(last.table).toBeLessThan(1.5 * first.table);
  expect(last.log).toBeLessThan(1e5);
  await database.close();
});

const server = await testDatabaseUrl();
const url = server === null ? '' : await freshDatabase(server);
const why = server === null ? ` (${WITHOUT_DATABASE})` : '';
const freshSchema = () => `store_${randomBytes(6).toString('hex')}`;

async function thenClose(databases: readonly Database[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    for (const database of databases) await database.close();
  }
}

describe.skipIf(server === null)(`PostgreSQL${why}`, () => {
  const pool = testPool(url, 1);
  /** As a restart of the server does: every connection but the one that asks is ended. */
  const endAllConnections = () =>
    pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    );
  const unavailable = expect.objectContaining({ code: 'STORE_UNAVAILABLE' });

  storeConformance({
    name: 'PostgreSQL',
    open: async () => {
      const schema = freshSchema();
      return [await openPostgres(url, schema), await openPostgres(url, schema)];
    },
  });

  test('three replicas that open an empty database at once all find it up to date', async () => {
    for (let attempt = 0; attempt < 5; attempt++) {
      const schema = freshSchema();
      const opened = await Promise.all([1, 2, 3].map(() => openPostgres(url, schema)));
      await thenClose(opened, async () => {
        for (const { db } of opened) expect(await db.selectFrom('runs').selectAll().execute()).toEqual([]);
      });
    }
  });

  test('two aggregators in one database know nothing of each other', async () => {
    const one = await openPostgres(url, freshSchema());
    const other = await openPostgres(url, freshSchema());
    await thenClose([one, other], async () => {
      await one.db.insertInto('nonces').values({ public_key: 'k', nonce: 'n', expires_at: 1 }).execute();
      expect(await other.db.selectFrom('nonces').selectAll().execute()).toEqual([]);
    });
  });

  test('a connection that is lost at work or between two steps of a change ends no process', async () => {
    const database = await openPostgres(url, freshSchema());
    const { aggregator, close } = await openTestAggregator({ database });
    await thenClose([database], async () => {
      const { run } = await createRun(aggregator, { name: 'kept', plan: tinyPlan() });
      const between = changeRun(aggregator, run, async (locked) => {
        await locked.event('note', {});
        await endAllConnections();
        await locked.event('note', {});
      });
      expect(await between.catch(asStoreError)).toEqual(unavailable);
      const atWork = sql`select pg_sleep(600)`.execute(database.db).catch(asStoreError);
      await eventually(async () => {
        const { rows } = await pool.query(`select from pg_stat_activity where query like 'select pg_sleep%'`);
        expect(rows).toHaveLength(1);
      });
      await endAllConnections();
      expect(await atWork).toEqual(unavailable);
      await close();
    });
  });

  test('a connection that is lost while it is idle is replaced', async () => {
    const database = await openPostgres(url, freshSchema());
    const { aggregator, app, close } = await openTestAggregator({ database });
    await thenClose([database], async () => {
      const { run } = await createRun(aggregator, { name: 'kept', plan: tinyPlan() });
      await endAllConnections();
      await eventually(async () => {
        const { statusCode, payload } = await app.inject({ method: 'GET', url: `/v1/runs/${run}` });
        if (statusCode !== 200) expect(JSON.parse(payload).error).toEqual(unavailable);
        expect(statusCode).toBe(200);
      });
      await close();
    });
  });

  test('a replica that hangs in the middle of a change does not keep the run for ever', async () => {
    const database = await openPostgres(url, freshSchema());
    await thenClose([database], async () => {
      const { rows } = await sql`show idle_in_transaction_session_timeout`.execute(database.db);
      expect(rows).toEqual([{ idle_in_transaction_session_timeout: '30s' }]);
    });
  });

  test('a schema whose name would need quotes is refused', async () => {
    for (const schema of ['Upper', 'a b', 'a,public', '1', 'a"', 'ä', '', 'a'.repeat(51)]) {
      await expect(openPostgres(url, schema), schema).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    }
  });

  test('a server that is not there is STORE_UNAVAILABLE', async () => {
    const nowhere = openPostgres('postgresql://nobody@127.0.0.1:1/none');
    await expect(nowhere).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });
});
