import { type ChildProcess, spawn } from 'node:child_process';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Pool } from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import type { PluralError } from '../../../src/core/errors.ts';
import type { FoldJobs } from '../../../src/server/jobs/fold-jobs.ts';
import { type PgBossJobsOptions, pgBossJobs } from '../../../src/server/jobs/pg-boss.ts';
import { eventually, foldJobsConformance, RecordedWork } from '../../conformance/fold-jobs.ts';
import { ROOT } from '../../support/cli.ts';
import { freshDatabase, testDatabaseUrl, testPool, WITHOUT_DATABASE } from '../../support/postgres.ts';

const server = await testDatabaseUrl();
const url = server === null ? '' : freshDatabase(server);
const why = server === null ? ` (${WITHOUT_DATABASE})` : '';

/** A process that takes the fold of a run, says so, and never ends it. */
const STUCK_REPLICA = `
  const { default: pg } = await import('pg');
  const { pgBossJobs } = await import(process.argv[1]);
  const pool = new pg.Pool({ connectionString: process.argv[2] });
  const jobs = pgBossJobs({ pool, schema: process.argv[3], onError: console.error, leaseSeconds: 3, retrySeconds: 1 });
  await jobs.start((run, round) => { console.log(run, round); return new Promise(() => {}); });`;

function startStuckReplica(schema: string): { replica: ChildProcess; said: () => string } {
  const module = pathToFileURL(join(ROOT, 'src/server/jobs/pg-boss.ts')).href;
  const node = ['--import', 'tsx', '--input-type=module', '--eval', STUCK_REPLICA, module, url, schema];
  const replica = spawn(process.execPath, node, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  replica.stdout.on('data', (chunk) => {
    output += chunk;
  });
  return { replica, said: () => output };
}

/** A way to the database that breaks as a network does, without a word. */
async function breakableLine(to: string) {
  const { hostname, port } = new URL(to);
  const sockets = new Set<Socket>();
  const line = createServer((near) => {
    const far = connect({ host: hostname, port: Number(port) });
    for (const socket of [near, far]) sockets.add(socket.on('error', () => undefined));
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => line.listen(0, '127.0.0.1', resolve));
  const address = line.address();
  const near = new URL(to);
  near.port = String(typeof address === 'object' ? address?.port : undefined);
  near.hostname = '127.0.0.1';
  const breakOff = () => {
    for (const socket of sockets) socket.resetAndDestroy();
    sockets.clear();
  };
  const close = () => {
    breakOff();
    line.close();
  };
  return { url: near.href, breakOff, close };
}

let schemas = 0;
const newSchema = () => `jobs_${schemas++}`;

describe.skipIf(server === null)(`fold jobs on pg-boss${why}`, () => {
  const pool = testPool(url);
  const opened: FoldJobs[] = [];
  const works: RecordedWork[] = [];
  const errors: PluralError[] = [];

  const open = (changes: Partial<PgBossJobsOptions> = {}) => {
    const onError = (error: PluralError) => errors.push(error);
    const jobs = pgBossJobs({ pool, schema: newSchema(), retrySeconds: 1, onError, ...changes });
    opened.push(jobs);
    return jobs;
  };

  const startWork = async (jobs: FoldJobs, gate: 'open' | 'shut' = 'open') => {
    const recorded = new RecordedWork();
    if (gate === 'shut') recorded.shutGate();
    works.push(recorded);
    await jobs.start(recorded.work);
    return recorded;
  };

  const rowsOf = async (schema: string) => {
    const { rows } = await pool.query(`SELECT state, retry_count AS retries, started_on FROM ${schema}.job`);
    return rows;
  };

  afterEach(async () => {
    for (const recorded of works.splice(0)) recorded.openGate();
    await Promise.all(opened.splice(0).map((jobs) => jobs.stop()));
    errors.length = 0;
  });

  foldJobsConformance({
    name: 'pg-boss',
    open: (onError) => pgBossJobs({ pool, schema: newSchema(), retrySeconds: 1, onError }),
  });

  test('replicas that start at once make one queue, leave the pool clean, and share the folds', async () => {
    const schema = newSchema();
    const replicas = Array.from({ length: 5 }, () => open({ schema }));
    const recorded = await Promise.all(replicas.map((jobs) => startWork(jobs)));
    const folds = Array.from({ length: 40 }, (_, round) => `run ${round}`);
    await Promise.all(folds.map((_, round) => replicas[round % 5]!.request('run', round)));
    const done = () => recorded.flatMap((each) => each.done);
    await eventually(() => expect(new Set(done())).toEqual(new Set(folds)));
    expect(done()).toHaveLength(folds.length);
    expect(recorded.filter((each) => each.done.length > 0).length).toBeGreaterThan(1);
    await eventually(async () => expect(await rowsOf(schema)).toEqual([]));
    const answers = await Promise.all(Array.from({ length: 10 }, () => pool.query('SELECT 1 AS one')));
    expect(answers.flatMap(({ rows }) => rows)).toEqual(Array(10).fill({ one: 1 }));
    expect(errors).toEqual([]);
  });

  test('the fold of a process that is killed is done by another, and by no other before', async () => {
    const schema = newSchema();
    const { replica, said } = startStuckReplica(schema);
    try {
      const other = open({ schema, leaseSeconds: 3 });
      await other.request('run', 7);
      await eventually(() => expect(said()).toBe('run 7\n'));
      const recorded = await startWork(other);
      // Longer than its lease of 3 s, which it must have renewed.
      const takenAt = (await rowsOf(schema))[0].started_on.getTime();
      await eventually(async () => {
        expect((await rowsOf(schema))[0].started_on.getTime() - takenAt).toBeGreaterThan(3000);
      });
      expect(recorded.begun).toEqual([]);
      replica.kill('SIGKILL');
      await other.request('run', 7);
      await eventually(() => expect(recorded.done).toEqual(['run 7']));
      await eventually(async () => expect(await rowsOf(schema)).toEqual([]));
    } finally {
      replica.kill('SIGKILL');
    }
  });

  test('a fold that hangs goes to another after the limit; its late end changes nothing for that one', async () => {
    const schema = newSchema();
    const hanging = open({ schema, leaseSeconds: 1, limitSeconds: 1 });
    const hung = await startWork(hanging, 'shut');
    await hanging.request('run', 1);
    await eventually(() => expect(hung.begun).toEqual(['run 1']));
    const other = open({ schema });
    const taken = await startWork(other, 'shut');
    await eventually(() => expect(taken.begun).toEqual(['run 1']));
    hung.openGate();
    await hanging.stop();
    expect(hung.done).toEqual(['run 1']);
    expect(await rowsOf(schema)).toMatchObject([{ state: 'active' }]);
    taken.openGate();
    await eventually(async () => expect(await rowsOf(schema)).toEqual([]));
    expect(taken.begun).toEqual(['run 1']);
  });

  test('connections that are lost, idle or during a fold, lose no fold', async () => {
    const schema = newSchema();
    const jobs = open({ schema, leaseSeconds: 1 });
    const recorded = await startWork(jobs, 'shut');
    const loseAll = () =>
      pool.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()');
    await jobs.request('run', 1);
    await eventually(() => expect(recorded.begun).toEqual(['run 1']));
    await expect(loseAll()).rejects.toThrow();
    await eventually(() => jobs.request('run', 2));
    recorded.openGate();
    await eventually(() => expect(recorded.done).toContain('run 2'));
    await expect(loseAll()).rejects.toThrow();
    await eventually(() => jobs.request('run', 3));
    await eventually(() => expect(new Set(recorded.done)).toEqual(new Set(['run 1', 'run 2', 'run 3'])));
    await eventually(async () => expect(await rowsOf(schema)).toEqual([]));
  });

  test('a connection that breaks while replicas wait for each other at the start is STORE_UNAVAILABLE', async () => {
    const schema = newSchema();
    const line = await breakableLine(url);
    const other = await pool.connect();
    await other.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [`pluralllm jobs in ${schema}`]);
    const jobs = open({ schema, pool: testPool(line.url) });
    const start = jobs.start(async () => undefined);
    const refused = expect(start).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await eventually(async () => {
      const { rows } = await other.query(
        "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
      );
      expect(rows).toHaveLength(1);
    });
    line.breakOff();
    await refused;
    other.release(true);
    const recorded = await startWork(jobs);
    await jobs.request('run', 1);
    await eventually(() => expect(recorded.done).toEqual(['run 1']));
    line.breakOff();
    await eventually(() => jobs.request('run', 2));
    await eventually(() => expect(recorded.done).toContain('run 2'));
    await jobs.stop();
    line.close();
  });

  test('what failed says why in the queue, without its stack', async () => {
    const schema = newSchema();
    const jobs = open({ schema, retrySeconds: 60 });
    const recorded = await startWork(jobs);
    recorded.failures.push(new Error('no such thing'));
    await jobs.request('run', 1);
    await eventually(async () => {
      const { rows } = await pool.query(`SELECT state, output FROM ${schema}.job`);
      expect(rows).toEqual([{ state: 'retry', output: { code: 'INTERNAL', message: 'no such thing' } }]);
    });
  });

  test('a job that is not ours fails, is told, and is not in the way', async () => {
    const schema = newSchema();
    const jobs = open({ schema });
    await jobs.request('run', 1);
    await pool.query(`UPDATE ${schema}.job SET data = '{"run": 1}'`);
    await jobs.request('run', 2);
    const recorded = await startWork(jobs);
    await eventually(() => expect(recorded.done).toEqual(['run 2']));
    expect(errors[0]).toMatchObject({ code: 'INTERNAL' });
  });
});

test('without a database, asking and starting are STORE_UNAVAILABLE, and the end is no problem', async () => {
  const nowhere: Pool = testPool('postgresql://nobody@127.0.0.1:9/none');
  const jobs = pgBossJobs({ pool: nowhere, schema: 'jobs', onError: () => undefined });
  const refused = { code: 'STORE_UNAVAILABLE', message: expect.stringContaining('ECONNREFUSED') };
  await expect(jobs.request('run', 1)).rejects.toMatchObject(refused);
  await expect(jobs.start(async () => undefined)).rejects.toMatchObject(refused);
  await jobs.stop();
});
