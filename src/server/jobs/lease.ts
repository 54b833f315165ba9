import type PgBoss from 'pg-boss';
import { FOLD_QUEUE } from './open-boss.ts';

/** One attempt at a job: pg-boss counts a job that is given out again as one retry more. */
export interface Attempt {
  readonly id: string;
  readonly retryCount: number;
}

/** How long a job belongs to who took it. */
export interface LeaseTerms {
  /** After this long without a renewal it goes to another. */
  readonly leaseMs: number;
  /** After this long it is no longer renewed: its work hangs. */
  readonly limitMs: number;
}

/** Renewals in the time of one lease, so that one or two may fail. */
const RENEWALS = 3;

/**
 * Keeps a job for the process that does it, for as long as that lives. The job engine has one fixed time for all
 * jobs, which would have to be longer than the longest fold, and after a kill nobody would fold until then.
 */
export class Lease {
  readonly #boss: PgBoss;
  readonly #renewal: string;
  readonly #attempt: Attempt;
  readonly #timer: NodeJS.Timeout;

  constructor(
    boss: PgBoss,
    schema: string,
    attempt: Attempt,
    terms: LeaseTerms,
    onError: (thrown: unknown) => void,
  ) {
    this.#boss = boss;
    this.#attempt = attempt;
    this.#renewal = `UPDATE ${schema}.job SET started_on = now()
      WHERE name = $1 AND id = $2 AND state = 'active' AND retry_count = $3 RETURNING id`;
    const end = Date.now() + terms.limitMs;
    this.#timer = setInterval(() => {
      if (Date.now() > end) this.end();
      else this.renew().catch(onError);
    }, terms.leaseMs / RENEWALS);
  }

  /** False where the job was given to another meanwhile. */
  async renew(): Promise<boolean> {
    const { id, retryCount } = this.#attempt;
    const { rows } = await this.#boss.getDb().executeSql(this.#renewal, [FOLD_QUEUE, id, retryCount]);
    return rows.length > 0;
  }

  /** Renews no more. */
  end(): void {
    clearInterval(this.#timer);
  }
}
