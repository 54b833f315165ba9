import { join } from 'node:path';
import type { Logger } from 'pino';
import { systemClock } from '../core/clock.ts';
import { asPluralError, PluralError } from '../core/errors.ts';
import { takeLock } from '../core/lock-file.ts';
import type { Aggregator, Observation } from './aggregator.ts';
import type { BlobStore } from './blobs/blob-store.ts';
import { diskBlobs } from './blobs/disk.ts';
import { s3Blobs } from './blobs/s3.ts';
import { Collections } from './collections.ts';
import { Doorbell } from './event-stream.ts';
import { foldRound } from './fold.ts';
import { Gate } from './gate.ts';
import type { FoldJobs } from './jobs/fold-jobs.ts';
import { inProcessJobs } from './jobs/in-process.ts';
import { pgBossJobs } from './jobs/pg-boss.ts';
import { readAdminKey, readIdentity } from './keys.ts';
import { createMetrics } from './metrics.ts';
import { PlanCache } from './plan.ts';
import { Relays } from './relay/relays.ts';
import type { Services } from './services.ts';
import type { Settings } from './settings.ts';
import { type Database, hasEmbedded, openEmbedded, openPostgres } from './store/database.ts';
import { startChores } from './sweep.ts';

/** Name of the embedded database in an aggregator's folder. */
export const DATABASE_FOLDER = 'database';
const LOCK_FILE = 'serve.lock';
const RETRY_FOLD_AFTER_MS = 1000;

/** Where an aggregator keeps what it keeps. */
export interface Place {
  readonly folder: string;
  /** PostgreSQL URL; null: the database inside the process. */
  readonly databaseUrl: string | null;
  /** Keeps several aggregators apart in one database. */
  readonly schema: string;
}

/** All parts of an aggregator, at work. */
export interface Composed {
  readonly services: Services;
  readonly database: Database['kind'];
  /** Waits for the fold under way and closes the stores. */
  close(): Promise<void>;
}

function openBlobs({ blobs }: Settings): Promise<BlobStore> | BlobStore {
  if (blobs.kind === 'disk') return diskBlobs(blobs.folder);
  const { kind: _, endpoint, ...bucket } = blobs;
  return s3Blobs({ ...bucket, ...(endpoint === null ? {} : { endpoint }) });
}

/** Errors: FOLDER_NOT_READY where `aggregator init` has not made the embedded database; STORE_UNAVAILABLE. */
async function openDatabase({ folder, databaseUrl, schema }: Place): Promise<Database> {
  if (databaseUrl !== null) return openPostgres(databaseUrl, schema);
  const place = join(folder, DATABASE_FOLDER);
  if (hasEmbedded(place)) return openEmbedded(place);
  throw new PluralError('FOLDER_NOT_READY', `${folder} has no database`, {
    hint: `Make it with "pluralllm aggregator init ${folder}", or give DATABASE_URL.`,
  });
}

function jobsFor({ kind, pool }: Database, schema: string, onError: (error: PluralError) => void): FoldJobs {
  if (kind === 'embedded') return inProcessJobs({ retryAfterMs: RETRY_FOLD_AFTER_MS, onError });
  return pgBossJobs({ pool, schema: `${schema}_jobs`, onError });
}

/** What was observed, as log lines; the line of a fold comes before its work. */
function logObservation(log: Logger, observation: Observation): void {
  if (observation.type === 'changed') return;
  if (observation.type === 'failed') {
    const { what, error } = observation;
    log.error({ what, code: error.code, err: error.cause ?? error }, error.message);
    return;
  }
  log.info(observation, observation.type);
}

/** What is closed in the end, the last opened first. */
class Closers {
  readonly #closers: (() => Promise<void> | void)[] = [];

  add(closer: () => Promise<void> | void): void {
    this.#closers.push(closer);
  }

  async closeAll(): Promise<void> {
    for (const closer of this.#closers.splice(0).reverse()) await closer();
  }
}

/** Figures, doorbell and log, all told of the same. */
function observers(log: Logger) {
  const metrics = createMetrics();
  const doorbell = new Doorbell();
  const observe = (observation: Observation) => {
    if (observation.type === 'changed') doorbell.ring(observation.run);
    metrics.observe(observation);
    logObservation(log, observation);
  };
  return { metrics, doorbell, observe };
}

async function open(place: Place, settings: Settings, log: Logger, closers: Closers): Promise<Composed> {
  const { folder, databaseUrl, schema } = place;
  const identity = readIdentity(folder);
  const adminKey = readAdminKey(folder);
  // Replicas may share a folder; the embedded database may not be opened twice.
  if (databaseUrl === null) closers.add(takeLock(join(folder, LOCK_FILE), folder));
  const database = await openDatabase(place);
  closers.add(() => database.close());
  const blobs = await openBlobs(settings);
  closers.add(() => blobs.close());
  const { metrics, doorbell, observe } = observers(log);
  const jobs = jobsFor(database, schema, (error) => observe({ type: 'failed', what: 'fold', error }));
  const { db } = database;
  const aggregator: Aggregator = { db, blobs, jobs, clock: systemClock, identity, observe };
  const plans = new PlanCache();
  await jobs.start((run, round) => foldRound(aggregator, plans, run, round));
  closers.add(() => jobs.stop());
  closers.add(startChores(aggregator, database));
  const { limits } = settings;
  const gate = new Gate(limits.checksAtOnce);
  const collections = new Collections();
  const relays = new Relays(aggregator, plans);
  closers.add(() => relays.close());
  const services = { aggregator, plans, collections, gate, doorbell, metrics, relays, adminKey, limits };
  return { services, database: database.kind, close: () => closers.closeAll() };
}

/**
 * Opens the stores of an aggregator and sets it to work: folds that an earlier process left, deadlines, clean-up.
 * Errors: FOLDER_NOT_READY, FOLDER_IN_USE, STORE_UNAVAILABLE.
 */
export async function compose(place: Place, settings: Settings, log: Logger): Promise<Composed> {
  const closers = new Closers();
  try {
    return await open(place, settings, log, closers);
  } catch (thrown) {
    await closers.closeAll();
    throw asPluralError(thrown);
  }
}
