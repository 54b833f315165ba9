import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AdminApi } from '../src/client/admin-api.ts';
import { once } from '../src/client/retry.ts';
import { httpTransport } from '../src/client/transport.ts';
import { initAggregator } from '../src/server/init.ts';
import { readAdminKey } from '../src/server/keys.ts';
import type { Benchmark, Row } from './benchmark.ts';
import { type Crowd, inParallel, joinAll, uploadAll } from './fold-groups.ts';
import { kernelRows } from './fold-kernel.ts';
import { foldPlan } from './fold-plan.ts';
import { AggregatorProcess } from './fold-server.ts';

/** What is measured, by default with the numbers. */
export interface FoldScale {
  readonly groups: number;
  readonly uploadsAtOnce: number;
  /** Of the second round, in which the aggregator is killed. */
  readonly uploadsBeforeKill: number;
  /** Flags of the aggregator's Node, such as a profiler's. */
  readonly nodeOptions: readonly string[];
}

const SCALE: FoldScale = { groups: 1000, uploadsAtOnce: 100, uploadsBeforeKill: 50, nodeOptions: [] };
const ROUNDS = 2;
/** Its update, a part of the next one, and its share of the database and its log. */
const ROOM_PER_GROUP_BYTES = 8e6;
const FOLD_WITHIN_MS = 600_000;
/** All groups call from one address here. */
const RATE = 10_000_000;

function checkRoom(folder: string, groups: number): void {
  const { bavail, bsize } = statfsSync(folder);
  const needed = groups * ROOM_PER_GROUP_BYTES;
  if (bavail * bsize > needed) return;
  throw new Error(
    `${folder} has no room for ${(needed / 1e9).toFixed(1)} GB; set TMPDIR to a folder that has`,
  );
}

/** A port that nobody uses now: a restarted aggregator must be found where it was. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

async function secondsOf<Result>(work: () => Promise<Result>): Promise<[seconds: number, result: Result]> {
  const started = performance.now();
  const result = await work();
  return [(performance.now() - started) / 1000, result];
}

interface Filled {
  readonly admin: AdminApi;
  readonly run: string;
  readonly crowd: Crowd;
  /** Closes the groups' connections. */
  close(): void;
}

/** The run, and all its groups with their keys. */
async function fillRun(folder: string, server: AggregatorProcess, groups: number): Promise<[Row, Filled]> {
  const { send: transport, close } = httpTransport({ url: server.url });
  const admin = new AdminApi({ transport, retry: once, adminKey: readAdminKey(folder) });
  const { publicKey: aggregatorKey } = await admin.aggregator();
  const { run } = await admin.createRun({ name: 'fold', plan: foldPlan(groups, ROUNDS) });
  const asked = { group: null, count: groups, expiresInMs: 3_600_000 };
  const { tokens } = await admin.invite(run, asked);
  const [seconds, crowd] = await secondsOf(() => joinAll({ transport, aggregatorKey, run, tokens }));
  const row = { name: 'joins-per-second', value: groups / seconds, unit: 'joins/s' };
  return [row, { admin, run, crowd, close }];
}

/** Requests that were answered so far. */
async function requestsOf(server: AggregatorProcess): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const counts = text.matchAll(/^pluralllm_request_seconds_count\{[^}]*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** All groups upload. */
async function intake(server: AggregatorProcess, crowd: Crowd, atOnce: number): Promise<[Row[], string[]]> {
  const count = crowd.groups.length;
  const [requestsBefore, cpuBefore] = [await requestsOf(server), server.cpuSeconds()];
  const [seconds, failures] = await secondsOf(() => uploadAll(crowd, crowd.groups, atOnce));
  const cpu = server.cpuSeconds() - cpuBefore;
  const requests = (await requestsOf(server)) - requestsBefore;
  for (const failure of failures.slice(0, 5)) process.stderr.write(`${failure}\n`);
  const rows = [
    { name: 'uploads-per-second', value: count / seconds, unit: 'uploads/s' },
    { name: 'requests-per-second', value: requests / seconds, unit: 'requests/s' },
    { name: 'processor time of the aggregator per upload', value: (1000 * cpu) / count, unit: 'ms' },
  ];
  return [rows, failures];
}

/** The fold, as the aggregator itself says in its log. */
async function foldOf(server: AggregatorProcess): Promise<Row[]> {
  const published = await server.until('published', 1, FOLD_WITHIN_MS);
  const seconds = Number(published['seconds']);
  const updates = Number(published['updates']);
  return [
    { name: 'updates-per-second', value: updates / seconds, unit: 'updates/s' },
    { name: 'fold-seconds', value: seconds, unit: 's' },
    { name: 'updates-folded', value: updates, unit: 'updates' },
  ];
}

/** All groups ask what is to be done. */
async function polls({ groups }: Crowd, atOnce: number): Promise<Row> {
  const [seconds] = await secondsOf(() =>
    inParallel(groups, atOnce, async ({ api }) => void (await api.task())),
  );
  return { name: 'task-polls-per-second', value: groups.length / seconds, unit: 'polls/s' };
}

/** Kills the aggregator in the second round, and looks whether all that it acknowledged is there when it is back. */
async function restart(
  folder: string,
  server: AggregatorProcess,
  { admin, run, crowd }: Filled,
  scale: FoldScale,
): Promise<[Row[], string[]]> {
  const some = crowd.groups.slice(0, scale.uploadsBeforeKill);
  const failures = await uploadAll(crowd, some, scale.uploadsAtOnce);
  await server.kill();
  const [seconds, back] = await secondsOf(() => AggregatorProcess.serve(folder, server.port));
  try {
    const { replied, round } = await admin.status(run);
    const lost = round === ROUNDS ? some.length - failures.length - replied : some.length;
    const rows = [
      { name: 'restart-seconds', value: seconds, unit: 's' },
      { name: 'acknowledged-updates-lost', value: lost, unit: 'updates' },
    ];
    return [rows, failures];
  } finally {
    await back.stop();
  }
}

/** What happens to an aggregator, in order, with its memory after each step. */
async function ordeal(folder: string, server: AggregatorProcess, scale: FoldScale): Promise<Row[]> {
  const peak = (when?: string): Row => {
    const name = when === undefined ? 'peak-resident-mib' : `peak-resident-mib, ${when}`;
    return { name, value: server.peakResidentMiB(), unit: 'MiB' };
  };
  const idle = peak('idle');
  const [joins, filled] = await fillRun(folder, server, scale.groups);
  const { crowd, close } = filled;
  const joined = peak('after the joins');
  const [uploads, failures] = await intake(server, crowd, scale.uploadsAtOnce);
  const uploaded = peak('after the uploads');
  const folded = await foldOf(server);
  const asked = await polls(crowd, scale.uploadsAtOnce);
  const highest = peak();
  const [restarted, failedLater] = await restart(folder, server, filled, scale);
  close();
  const failed: Row = {
    name: 'concurrent-uploads-failed',
    value: failures.length + failedLater.length,
    unit: 'uploads',
  };
  const memory = [highest, idle, joined, uploaded];
  return [...folded, ...memory, failed, ...uploads, asked, joins, ...restarted];
}

/** A whole run against an aggregator of its own: joins, uploads, fold, kill, restart. */
export async function measureAggregator(scale: FoldScale): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'pluralllm-bench-fold-'));
  const removeFolder = () => rmSync(folder, { recursive: true, force: true });
  // Called off: nothing may be left, neither gigabytes nor a process, which its own listener ends.
  const callOff = () => process.exit(130);
  process.once('exit', removeFolder).once('SIGINT', callOff).once('SIGTERM', callOff);
  let server: AggregatorProcess | undefined;
  try {
    checkRoom(folder, scale.groups);
    await initAggregator(folder, { limits: { anonymousPerMinute: RATE, perKeyPerMinute: RATE } });
    server = await AggregatorProcess.serve(folder, await freePort(), scale.nodeOptions);
    return await ordeal(folder, server, scale);
  } finally {
    await server?.stop();
    removeFolder();
    process.off('exit', removeFolder).off('SIGINT', callOff).off('SIGTERM', callOff);
  }
}

/** The aggregator under the load of a large round, and its fold against copying the same bytes. */
export const fold: Benchmark = {
  name: 'fold',
  describe: `${SCALE.groups} groups upload 4.75 MB each to an aggregator, ${SCALE.uploadsAtOnce} at a time, and are folded`,
  run: async () => [
    ...(await measureAggregator(SCALE)),
    ...(await kernelRows(foldPlan(SCALE.groups, ROUNDS).parameters)),
  ],
};
