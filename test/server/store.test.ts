import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { changeRun } from '../../src/server/locked-run.ts';
import { createRun } from '../../src/server/runs.ts';
import { type Database, openEmbedded, openPostgres } from '../../src/server/store/database.ts';
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

const server = await testDatabaseUrl();
const url = server === null ? '' : await freshDatabase(server);
const why = server === null ? ` (${WITHOUT_DATABASE})` : '';
const freshSchema = () => `store_${randomBytes(6).toString('hex')}`;

async function withClosed<Result>(
  databases: readonly Database[],
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } finally {
    for (const database of databases) await database.close();
  }
}

describe.skipIf(server === null)(`PostgreSQL${why}`, () => {
  const admin = server === null ? null : testPool(url, 2);
  /** As a restart of the server does: every connection but the one that asks is ended. */
  const endAllConnections = () =>
    admin!.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name <> 'admin' and pid <> pg_backend_pid()`,
    );

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
      await withClosed(opened, async () => {
        for (const { db } of opened) expect(await db.selectFrom('runs').selectAll().execute()).toEqual([]);
      });
    }
  });

  test('two aggregators in one database know nothing of each other', async () => {
    const one = await openPostgres(url, freshSchema());
    const other = await openPostgres(url, freshSchema());
    await withClosed([one, other], async () => {
      await one.db.insertInto('nonces').values({ public_key: 'k', nonce: 'n', expires_at: 1 }).execute();
      expect(await other.db.selectFrom('nonces').selectAll().execute()).toEqual([]);
    });
  });

  test('connections that are lost, idle, at work or between two steps of a change, end no process', async () => {
    const database = await openPostgres(url, freshSchema());
    const { aggregator, close } = await openTestAggregator({ database });
    await withClosed([{ ...database, close: async () => close().then(database.close) }], async () => {
      const { run } = await createRun(aggregator, { name: 'kept', plan: tinyPlan() });
      const between = changeRun(aggregator, run, async (locked) => {
        await locked.event('note', {});
        await endAllConnections();
        await locked.event('note', {});
      });
      await expect(between).rejects.toThrow();
      const { pid } = await sql<{ pid: number }>`select pg_backend_pid() as pid`
        .execute(database.db)
        .then(({ rows }) => rows[0]!);
      expect(pid).toBeGreaterThan(0);
      const atWork = sql`select pg_sleep(60)`.execute(database.db);
      const lost = expect(atWork).rejects.toThrow();
      await new Promise((resolve) => setTimeout(resolve, 300));
      await endAllConnections();
      await lost;
      expect(await changeRun(aggregator, run, async ({ state }) => state.phase)).toBe('waiting');
      expect(await database.db.selectFrom('events').selectAll().execute()).toEqual([]);
    });
  });
});
