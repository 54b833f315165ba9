import { asPluralError } from '../../core/errors.ts';
import type { FoldErrorListener, FoldJobs, FoldWork } from './fold-jobs.ts';

/** How a process does its own folds. */
export interface InProcessJobsOptions {
  /** From a failure to the next attempt. */
  readonly retryAfterMs: number;
  readonly onError: FoldErrorListener;
}

interface Job {
  readonly key: string;
  readonly run: string;
  readonly round: number;
}

class InProcessJobs implements FoldJobs {
  readonly #options: InProcessJobsOptions;
  /** Keys of the jobs that wait, are under way, or will be tried again. */
  readonly #open = new Set<string>();
  readonly #waiting: Job[] = [];
  readonly #retries = new Set<NodeJS.Timeout>();
  #work: FoldWork | undefined;
  #working: Promise<void> | undefined;
  #stopped = false;

  constructor(options: InProcessJobsOptions) {
    this.#options = options;
  }

  async request(run: string, round: number): Promise<void> {
    const key = JSON.stringify([run, round]);
    if (this.#stopped || this.#open.has(key)) return;
    this.#open.add(key);
    this.#enqueue({ key, run, round });
  }

  async start(work: FoldWork): Promise<void> {
    this.#work = work;
    this.#goOn();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#retries) clearTimeout(timer);
    this.#waiting.length = 0;
    await this.#working;
  }

  #enqueue(job: Job): void {
    this.#waiting.push(job);
    this.#goOn();
  }

  #goOn(): void {
    if (this.#work === undefined || this.#waiting.length === 0) return;
    this.#working ??= this.#doAll(this.#work);
  }

  async #doAll(work: FoldWork): Promise<void> {
    for (let job = this.#waiting.shift(); job !== undefined; job = this.#waiting.shift()) {
      await this.#doOne(work, job);
    }
    this.#working = undefined;
  }

  async #doOne(work: FoldWork, job: Job): Promise<void> {
    try {
      await work(job.run, job.round);
      this.#open.delete(job.key);
    } catch (thrown) {
      this.#options.onError(asPluralError(thrown), job.run, job.round);
      if (!this.#stopped) this.#retryLater(job);
    }
  }

  #retryLater(job: Job): void {
    const timer = setTimeout(() => {
      this.#retries.delete(timer);
      this.#enqueue(job);
    }, this.#options.retryAfterMs);
    this.#retries.add(timer);
  }
}

/** Folds in this process, one at a time; a fold that fails is tried again until the process stops. */
export function inProcessJobs(options: InProcessJobsOptions): FoldJobs {
  return new InProcessJobs(options);
}
