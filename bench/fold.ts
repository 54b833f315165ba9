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
import { type Crowd, joinAll, uploadAll } from './fold-groups.ts';
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
/** Two rounds' updates are on the disk for a while, and the database with its log. */
const ROOM_PER_GROUP_BYTES = 12e6;
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

/** The run, and all its groups with their keys. */
async function fillRun(folder: string, server: AggregatorProcess, scale: FoldScale) {
  const { send: transport, close } = httpTransport({ url: server.url });
  const adminKey = readAdminKey(folder);
  const admin = new AdminApi({ transport, retry: once, adminKey });
  const { publicKey: aggregatorKey } = await admin.aggregator();
  const { run } = await admin.createRun({ name: 'fold', plan: foldPlan(scale.groups, ROUNDS) });
  const asked = { group: null, count: scale.groups, expiresInMs: 3_600_000 };
  const { tokens } = await admin.invite(run, asked);
  const [joinSeconds, crowd] = await secondsOf(() => joinAll({ transport, aggregatorKey, run, tokens }));
  return { admin, run, crowd, joinSeconds, close };
}

/** Kills the aggregator in the second round, and looks whether all that it acknowledged is there when it is back. */
async function restart(
  folder: string,
  server: AggregatorProcess,
  { admin, run, crowd }: { admin: AdminApi; run: string; crowd: Crowd },
  scale: FoldScale,
) {
  const some = crowd.groups.slice(0, scale.uploadsBeforeKill);
  const failures = await uploadAll(crowd, some, scale.uploadsAtOnce);
  await server.kill();
  const [seconds, back] = await secondsOf(() => AggregatorProcess.serve(folder, server.port));
  try {
    const { replied, round } = await admin.status(run);
    const lost = round === ROUNDS ? some.length - failures.length - replied : some.length;
    return { seconds, lost, failures };
  } finally {
    await back.stop();
  }
}

/** Requests of one update: its task, beginning, chunks, and submission; `GET /v1/aggregator` once. */
async function requestsOf(server: AggregatorProcess): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const counts = text.matchAll(/^pluralllm_request_seconds_count\{[^}]*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** A whole run against an aggregator of its own: joins, uploads, fold, kill, restart. */
export async function measureAggregator(scale: FoldScale): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'pluralllm-bench-fold-'));
  let server: AggregatorProcess | undefined;
  try {
    checkRoom(folder, scale.groups);
    await initAggregator(folder, { limits: { anonymousPerMinute: RATE, perKeyPerMinute: RATE } });
    server = await AggregatorProcess.serve(folder, await freePort(), scale.nodeOptions);
    const idle = server.peakResidentMiB();
    const filled = await fillRun(folder, server, scale);
    const { crowd, joinSeconds } = filled;
    const afterJoins = server.peakResidentMiB();
    const before = await requestsOf(server);
    const cpuBefore = server.cpuSeconds();
    const [intakeSeconds, failures] = await secondsOf(() =>
      uploadAll(crowd, crowd.groups, scale.uploadsAtOnce),
    );
    const requests = (await requestsOf(server)) - before;
    const afterIntake = server.peakResidentMiB();
    const intakeCpu = server.cpuSeconds() - cpuBefore;
    for (const failure of failures.slice(0, 5)) process.stderr.write(`${failure}\n`);
    const published = await server.until('published', 1, FOLD_WITHIN_MS);
    const foldSeconds = Number(published['seconds']);
    const updates = Number(published['updates']);
    const peak = server.peakResidentMiB();
    const { seconds, lost, failures: failedLater } = await restart(folder, server, filled, scale);
    filled.close();
    return [
      { name: 'updates-per-second', value: updates / foldSeconds, unit: 'updates/s' },
      { name: 'fold-seconds', value: foldSeconds, unit: 's' },
      { name: 'updates-folded', value: updates, unit: 'updates' },
      { name: 'peak-resident-mib', value: peak, unit: 'MiB' },
      { name: 'peak-resident-mib, idle', value: idle, unit: 'MiB' },
      { name: 'peak-resident-mib, after the joins', value: afterJoins, unit: 'MiB' },
      { name: 'peak-resident-mib, after the uploads', value: afterIntake, unit: 'MiB' },
      { name: 'concurrent-uploads-failed', value: failures.length + failedLater.length, unit: 'uploads' },
      { name: 'uploads-per-second', value: crowd.groups.length / intakeSeconds, unit: 'uploads/s' },
      { name: 'requests-per-second', value: requests / intakeSeconds, unit: 'requests/s' },
      {
        name: 'processor time of the aggregator per upload',
        value: (1000 * intakeCpu) / crowd.groups.length,
        unit: 'ms',
      },
      { name: 'joins-per-second', value: crowd.groups.length / joinSeconds, unit: 'joins/s' },
      { name: 'restart-seconds', value: seconds, unit: 's' },
      { name: 'acknowledged-updates-lost', value: lost, unit: 'updates' },
    ];
  } finally {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
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
