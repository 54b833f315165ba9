import { Worker } from 'node:worker_threads';
import { ERROR_CODES, type ErrorCode, PluralError } from '../core/errors.ts';
import type { Job, JobReply, JobRequest, JobResult, WorkerSetup, WorkerStart } from './jobs.ts';

/**
 * Worker threads that do training and prediction jobs. Results depend on the job alone, not on the worker that
 * does it, nor on how many there are; memory grows with the workers, not with the groups.
 */
export interface TrainingPool {
  readonly workers: number;
  /** Does a job when a worker is free. The job's own error code where it fails; INTERRUPTED after `close`. */
  run<Kind extends Job['kind']>(job: Extract<Job, { kind: Kind }>): Promise<JobResult<Kind>>;
  /** For work beside the pool: throws INTERRUPTED after `close`, and what ended the pool where something did. */
  checkOpen(): void;
  /** Stops all workers; jobs under way are given up at their next step. Safe to call twice. */
  close(): Promise<void>;
}

interface Pending {
  readonly job: Job;
  readonly resolve: (result: never) => void;
  readonly reject: (error: PluralError) => void;
}

interface Seat {
  readonly worker: Worker;
  current: Pending | undefined;
  /** Resolves when the thread has loaded its code, or is gone. */
  readonly ready: Promise<void>;
}

/** From source (tsx, tests) the worker needs a loader of its own; the built package does not. */
function workerEntry(): URL {
  const fromSource = import.meta.url.endsWith('.ts');
  return new URL(fromSource ? './worker.dev.mjs' : './worker.js', import.meta.url);
}

function errorFrom({ code, message, hint }: { code: string; message: string; hint: string | undefined }) {
  const known = ERROR_CODES.find((candidate): candidate is ErrorCode => candidate === code) ?? 'INTERNAL';
  return new PluralError(known, message, hint === undefined ? {} : { hint });
}

/** The pool behind `startPool`. */
class WorkerPool implements TrainingPool {
  readonly #seats: readonly Seat[];
  readonly #waiting: Pending[] = [];
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  #closed: PluralError | undefined;
  #nextId = 0;
  #onIdle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(setup: WorkerSetup, workers: number) {
    this.#seats = Array.from({ length: workers }, () => this.#openSeat(setup));
  }

  get workers(): number {
    return this.#seats.length;
  }

  run<Kind extends Job['kind']>(job: Extract<Job, { kind: Kind }>): Promise<JobResult<Kind>> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) return reject(this.#closed);
      this.#waiting.push({ job, resolve, reject });
      this.#dispatch();
    });
  }

  checkOpen(): void {
    if (this.#closed !== undefined) throw this.#closed;
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    this.#abandon(new PluralError('INTERRUPTED', 'stopped before all jobs were done'));
    Atomics.store(this.#stop, 0, 1);
    // A thread that is ended inside ONNX Runtime, or while loading it, takes the whole process with it.
    await Promise.all(this.#seats.map(({ ready }) => ready));
    if (this.#busy()) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    await Promise.all(this.#seats.map(({ worker }) => worker.terminate()));
  }

  #openSeat(setup: WorkerSetup): Seat {
    const workerData: WorkerStart = { setup, stop: this.#stop };
    const worker = new Worker(workerEntry(), { workerData });
    const { promise: ready, resolve: isReady } = promiseWithResolver();
    const seat: Seat = { worker, current: undefined, ready };
    worker.on('message', (reply: JobReply) => ('ready' in reply ? isReady() : this.#settle(seat, reply)));
    worker.on('error', (thrown) => {
      const error = new PluralError('ENGINE_FAILED', `a worker stopped: ${thrown.message}`, {
        cause: thrown,
      });
      this.#abandon(error);
      this.#settle(seat, undefined);
      isReady();
    });
    worker.on('exit', () => {
      if (seat.current !== undefined) {
        this.#abandon(new PluralError('ENGINE_FAILED', 'a worker left without an answer'));
        this.#settle(seat, undefined);
      }
      isReady();
    });
    return seat;
  }

  #dispatch(): void {
    for (const seat of this.#seats) {
      if (seat.current !== undefined) continue;
      const next = this.#waiting.shift();
      if (next === undefined) return;
      seat.current = next;
      const request: JobRequest = { id: this.#nextId++, job: next.job };
      seat.worker.postMessage(request);
    }
  }

  #settle(seat: Seat, reply: Exclude<JobReply, { ready: true }> | undefined): void {
    const done = seat.current;
    seat.current = undefined;
    if (reply === undefined) done?.reject(this.#closed!);
    else if ('result' in reply) done?.resolve(reply.result as never);
    else done?.reject(errorFrom(reply.error));
    if (this.#closed === undefined) this.#dispatch();
    else if (!this.#busy()) this.#onIdle?.();
  }

  #busy(): boolean {
    return this.#seats.some((seat) => seat.current !== undefined);
  }

  /** Takes no more jobs and gives up those that wait. */
  #abandon(error: PluralError): void {
    this.#closed ??= error;
    for (const pending of this.#waiting.splice(0)) pending.reject(this.#closed);
  }
}

function promiseWithResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Starts `workers` threads. */
export function startPool(setup: WorkerSetup, workers: number): TrainingPool {
  return new WorkerPool(setup, workers);
}
