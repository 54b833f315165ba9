import type { Pool } from 'pg';
import type PgBoss from 'pg-boss';
import { z } from 'zod';
import { asPluralError, PluralError } from '../../core/errors.ts';
import type { FoldErrorListener, FoldJobs, FoldWork } from './fold-jobs.ts';
import { jobIdOf } from './job-id.ts';
import { Lease } from './lease.ts';
import { FOLD_QUEUE, openBoss } from './open-boss.ts';

/** Where the queue is, and how long it waits; whole seconds. */
export interface PgBossJobsOptions {
  /** Stays open after `stop`. Its owner listens to its errors. */
  readonly pool: Pool;
  /** Schema of the tables of pg-boss; made where it is not there. */
  readonly schema: string;
  readonly onError: FoldErrorListener;
  /** The job of a killed replica is given to another after this long; 15 without it. */
  readonly leaseSeconds?: number;
  /** From a failure, or the end of a lease, to the next attempt; 5 without it. */
  readonly retrySeconds?: number;
  /** A fold that takes longer is given to another replica too; 600 without it. */
  readonly limitSeconds?: number;
}

const POLL_MS = 1000;
/** The largest number of the column: for ever. */
const RETRIES = 2 ** 31 - 1;

const dataSchema = z.strictObject({ run: z.string(), round: z.int() });
type FoldJob = PgBoss.JobWithMetadata<unknown>;

function unavailable(thrown: unknown): PluralError {
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new PluralError('STORE_UNAVAILABLE', `the queue of folds does not answer: ${reason}`, {
    hint: 'Check that PostgreSQL runs, and that its user may make a schema in the database.',
    cause: thrown,
  });
}

class PgBossJobs implements FoldJobs {
  readonly #options: PgBossJobsOptions;
  #opening: Promise<PgBoss> | undefined;
  #looping: Promise<void> | undefined;
  #stopped = false;
  #wake: () => void = () => undefined;

  constructor(options: PgBossJobsOptions) {
    this.#options = options;
  }

  async request(run: string, round: number): Promise<void> {
    const { leaseSeconds = 15, retrySeconds = 5 } = this.#options;
    const boss = await this.#open();
    const options = {
      id: jobIdOf(run, round),
      expireInSeconds: leaseSeconds,
      retryDelay: retrySeconds,
      retryLimit: RETRIES,
    };
    try {
      await boss.send(FOLD_QUEUE, { run, round }, options);
    } catch (thrown) {
      throw unavailable(thrown);
    }
    this.#wake();
  }

  async start(work: FoldWork): Promise<void> {
    this.#looping = this.#loop(await this.#open(), work);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#looping;
    const boss = await this.#opening?.catch(() => undefined);
    await boss?.stop({ graceful: false });
  }

  /** The next call tries again where it fails. */
  #open(): Promise<PgBoss> {
    const { pool, schema } = this.#options;
    this.#opening ??= openBoss(pool, schema, (thrown) => this.#report(thrown)).catch((thrown) => {
      this.#opening = undefined;
      throw unavailable(thrown);
    });
    return this.#opening;
  }

  /**
   * Takes jobs itself, for the engine's own loop does not wait until the end of a job is stored: where the database
   * is away at that moment, that is a rejection that nobody handles, and the end of the process.
   */
  async #loop(boss: PgBoss, work: FoldWork): Promise<void> {
    while (!this.#stopped) {
      const job = await this.#next(boss);
      if (job === undefined) await this.#pause();
      else await this.#do(boss, job, work);
    }
  }

  async #next(boss: PgBoss): Promise<FoldJob | undefined> {
    try {
      // Gives back the jobs whose lease is over; also the only one of the two that says when the database is away.
      await boss.expire();
      const [job] = await boss.fetch<unknown>(FOLD_QUEUE, { includeMetadata: true });
      return job;
    } catch (thrown) {
      this.#report(thrown);
      return undefined;
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, POLL_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #do(boss: PgBoss, job: FoldJob, work: FoldWork): Promise<void> {
    const { schema, limitSeconds = 600 } = this.#options;
    const terms = { leaseMs: Number(job.expireInSeconds) * 1000, limitMs: limitSeconds * 1000 };
    const lease = new Lease(boss, schema, job, terms, (thrown) => this.#report(thrown));
    const failure = await this.#attempt(job.data, work);
    lease.end();
    try {
      if (!(await lease.renew())) return;
      // Removed, not "completed": the same fold may be asked for again.
      if (failure === null) await boss.deleteJob(FOLD_QUEUE, job.id);
      else await boss.fail(FOLD_QUEUE, job.id, { code: failure.code, message: failure.message });
    } catch (thrown) {
      // The lease ends by itself, and the work is done once more, which is harmless.
      this.#report(thrown);
    }
  }

  /** Null where it went well. */
  async #attempt(data: unknown, work: FoldWork): Promise<PluralError | null> {
    let fold: z.infer<typeof dataSchema> | null = null;
    try {
      fold = dataSchema.parse(data);
      await work(fold.run, fold.round);
      return null;
    } catch (thrown) {
      const failure = asPluralError(thrown);
      this.#options.onError(failure, fold?.run ?? null, fold?.round ?? null);
      return failure;
    }
  }

  #report(thrown: unknown): void {
    this.#options.onError(unavailable(thrown), null, null);
  }
}

/** Folds on one of the replicas that share a PostgreSQL, through the job engine pg-boss. */
export function pgBossJobs(options: PgBossJobsOptions): FoldJobs {
  return new PgBossJobs(options);
}
