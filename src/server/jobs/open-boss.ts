import type { Pool } from 'pg';
import type PgBoss from 'pg-boss';

/** The queue of folds. */
export const FOLD_QUEUE = 'fold';

type Query = PgBoss.Db['executeSql'];

async function connect(schema: string, query: Query, migrate: boolean): Promise<PgBoss> {
  const { default: Boss } = await import('pg-boss');
  return new Boss({ db: { executeSql: query }, schema, migrate, supervise: false, schedule: false });
}

/**
 * Makes the tables and the queue where they are not there, one replica after the other: pg-boss has a lock of its
 * own, but replicas that start at once still collide on the schema and deadlock on the queue.
 */
async function setUp(pool: Pool, schema: string): Promise<void> {
  const client = await pool.connect();
  // The statement under way fails too; an error that nobody listens to would end the process.
  client.on('error', () => undefined);
  try {
    await client.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [`pluralllm jobs in ${schema}`]);
    const boss = await connect(schema, (text, values) => client.query(text, values), true);
    await boss.start();
    await boss.createQueue(FOLD_QUEUE);
    await boss.stop({ graceful: false });
  } finally {
    // With its connection go the lock, and the transaction of a statement that failed.
    client.release(true);
  }
}

/** Opens pg-boss over a pool, with its tables in a schema of their own; makes what is not there. */
export async function openBoss(
  pool: Pool,
  schema: string,
  onError: (thrown: unknown) => void,
): Promise<PgBoss> {
  await setUp(pool, schema);
  const boss = await connect(schema, (text, values) => pool.query(text, values), false);
  boss.on('error', onError);
  await boss.start();
  return boss;
}
