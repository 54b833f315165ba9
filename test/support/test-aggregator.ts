import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { parseConfig } from '../../src/config/config.ts';
import { predictorOf } from '../../src/config/worker-setup.ts';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import type { PluralError } from '../../src/core/errors.ts';
import type { Aggregator, Observation } from '../../src/server/aggregator.ts';
import { buildApp } from '../../src/server/app.ts';
import type { BlobStore } from '../../src/server/blobs/blob-store.ts';
import { diskBlobs } from '../../src/server/blobs/disk.ts';
import { Collections } from '../../src/server/collections.ts';
import { Doorbell } from '../../src/server/event-stream.ts';
import { foldRound } from '../../src/server/fold.ts';
import { Gate } from '../../src/server/gate.ts';
import { inProcessJobs } from '../../src/server/jobs/in-process.ts';
import { createMetrics } from '../../src/server/metrics.ts';
import { PlanCache } from '../../src/server/plan.ts';
import { Relays } from '../../src/server/relay/relays.ts';
import type { Services } from '../../src/server/services.ts';
import { type Database, openEmbedded } from '../../src/server/store/database.ts';
import { freshSecret, identityOf } from '../../src/wire/identity.ts';
import type { RunPlan } from '../../src/wire/run-definition.ts';
import { tinyQuestions } from './tiny-survey.ts';

/** Secret of all test aggregators: 64 hex digits. */
export const ADMIN_KEY = 'ad'.repeat(32);

/** A predictor so small that whole runs of it take milliseconds. */
export function tinyPlan(change: Partial<RunPlan> = {}, rounds = 3): RunPlan {
  const config = {
    data: { survey: 'tiny', groups: { training: 2, unseen: 1 } },
    protection: { name: 'none' },
    predictor: { name: 'gpo', width: 2, layers: 1, heads: 1, feedforward: 2, embedderLayers: 2 },
    training: { rounds, localSteps: 1 },
    compare: [],
  };
  const width = 2;
  const { size } = predictorOf(parseConfig(config), { featureWidth: width, rows: 0 }).layout;
  return {
    config,
    survey: { name: 'tiny', questions: tinyQuestions(4).map(copied), heldOutQuestions: [] },
    features: { provider: 'lexical', width, digest: 'fe'.repeat(32) },
    parameters: size,
    quorum: 2,
    deadlineMs: 3_600_000,
    ...change,
  };
}

function copied({ id, text, options }: { id: string; text: string; options: readonly string[] }) {
  return { id, text, options: [...options] };
}

export interface TestAggregatorOptions {
  readonly database?: Database;
  readonly blobs?: BlobStore;
  readonly clock?: Clock;
  readonly limits?: Partial<Services['limits']>;
  readonly observe?: (observation: Observation) => void;
}

/** An aggregator in this process, with the real state machine, stores and routes, and without chores of its own. */
export interface TestAggregator {
  readonly services: Services;
  readonly aggregator: Aggregator;
  readonly app: FastifyInstance;
  /** Failures of folds and chores, as they came. */
  readonly failures: PluralError[];
  /** Stops what this process does and leaves the stores as they are, open. */
  abandon(): Promise<void>;
  close(): Promise<void>;
}

/** Opens one; a database or blobs that are given stay open when it is abandoned. */
export async function openTestAggregator(options: TestAggregatorOptions = {}): Promise<TestAggregator> {
  const { clock = systemClock } = options;
  const database = options.database ?? (await openEmbedded(null));
  const folder = mkdtempSync(join(tmpdir(), 'pluralllm-blobs-'));
  const blobs = options.blobs ?? (await diskBlobs(folder));
  const failures: PluralError[] = [];
  const jobs = inProcessJobs({ retryAfterMs: 20, onError: (error) => void failures.push(error) });
  const doorbell = new Doorbell();
  const metrics = createMetrics();
  const observe = (observation: Observation) => {
    if (observation.type === 'changed') doorbell.ring(observation.run);
    metrics.observe(observation);
    options.observe?.(observation);
  };
  const identity = identityOf('1d'.repeat(32));
  const aggregator: Aggregator = { db: database.db, blobs, jobs, clock, identity, observe };
  const plans = new PlanCache();
  await jobs.start((run, round) => foldRound(aggregator, plans, run, round));
  const limits = {
    chunkBytes: 2 ** 20,
    anonymousPerMinute: 1_000_000,
    perKeyPerMinute: 1_000_000,
    ...options.limits,
  };
  const gate = new Gate(3);
  const relays = new Relays(aggregator, plans);
  const services: Services = {
    aggregator,
    plans,
    collections: new Collections(),
    gate,
    doorbell,
    metrics,
    relays,
    adminKey: ADMIN_KEY,
    limits,
  };
  const logger = pino({ level: 'silent' });
  const app = await buildApp(services, { tls: null, trustProxy: false, logger });
  await app.ready();
  const abandon = async () => {
    await relays.close();
    await app.close();
    await jobs.stop();
  };
  const close = async () => {
    await abandon();
    if (options.blobs === undefined) await blobs.close();
    if (options.database === undefined) await database.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { services, aggregator, app, failures, abandon, close };
}

/** A key pair of its own. */
export function freshIdentity() {
  return identityOf(freshSecret());
}
