import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';

/** For the name of a suite that needs PostgreSQL where there is none. */
export const WITHOUT_DATABASE =
  'SKIPPED: PLURALLLM_TEST_DATABASE_URL is not set and no PostgreSQL lets postgres or root in on 127.0.0.1:5432';

const CANDIDATES = ['postgres', 'root'].map((user) => `postgresql://${user}@127.0.0.1:5432/test`);
const PROBE_TIMEOUT_MS = 2000;

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: PROBE_TIMEOUT_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Address of a PostgreSQL for tests: of the environment, unseen, or of this machine; null without one. */
export async function testDatabaseUrl(): Promise<string | null> {
  const given = process.env['PLURALLLM_TEST_DATABASE_URL'];
  if (given !== undefined && given !== '') return given;
  for (const url of CANDIDATES) if (await answers(url)) return url;
  return null;
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Address of a database on the server at `url` that is there from the first test of the file to its last. */
export function freshDatabase(url: string): string {
  const name = `pluralllm_test_${randomBytes(8).toString('hex')}`;
  // Not at once: where no test of the file is chosen, nothing is called at its end. From template0, for nobody can be
  // connected to that, which would keep it from being copied.
  beforeAll(() => administer(url, `CREATE DATABASE ${name} TEMPLATE template0`));
  afterAll(() => administer(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
  const fresh = new URL(url);
  fresh.pathname = `/${name}`;
  return fresh.href;
}

/** A pool that lives through the loss of its connections, and goes with the test file. */
export function testPool(url: string, size = 10): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: size });
  pool.on('error', () => undefined);
  afterAll(() => pool.end());
  return pool;
}
