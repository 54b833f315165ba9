import { Worker } from 'node:worker_threads';
import { ERROR_CODES, type ErrorCode, PluralError } from '../core/errors.ts';
import type { Job, JobReply, JobRequest, JobResult, WorkerSetup } from './jobs.ts';

/**
 * Worker threads that do training and prediction jobs. Results depend on the job alone, not on the worker that
 * does it, nor on how many there are; memory grows with the workers, not with the groups.
 */
export interface TrainingPool {
  readonly workers: number;
  /** Does a job when a worker is free. The job's own error code where it fails; INTERRUPTED after `close`. */
  run<Kind extends Job['kind']>(job: Extract<Job, { kind: Kind }>): Promise<JobResult<Kind>>;
  /** Stops all workers at once; jobs under way are given up. */
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

/** Starts `workers` threads. */
export function startPool(setup: WorkerSetup, workers: number): TrainingPool {
  const waiting: Pending[] = [];
  let closed = false;
  let nextId = 0;

  const dispatch = (): void => {
    for (const seat of seats) {
      if (seat.current !== undefined) continue;
      const next = waiting.shift();
      if (next === undefined) return;
      seat.current = next;
      const request: JobRequest = { id: nextId++, job: next.job };
      seat.worker.postMessage(request);
    }
  };

  const settle = (seat: Seat, reply: JobReply): void => {
    const done = seat.current;
    seat.current = undefined;
    if ('result' in reply) done?.resolve(reply.result as never);
    else done?.reject(errorFrom(reply.error));
    dispatch();
  };

  const abandon = (error: PluralError): void => {
    closed = true;
    for (const pending of [...seats.map((seat) => seat.current), ...waiting.splice(0)])
      pending?.reject(error);
    for (const seat of seats) seat.current = undefined;
  };

  const seats = Array.from({ length: workers }, (): Seat => {
    const worker = new Worker(workerEntry(), { workerData: setup });
    const seat: Seat = { worker, current: undefined };
    worker.on('message', (reply: JobReply) => settle(seat, reply));
    worker.on('error', (thrown) =>
      abandon(new PluralError('ENGINE_FAILED', `a worker stopped: ${thrown.message}`, { cause: thrown })),
    );
    return seat;
  });

  return {
    workers,
    run: (job) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new PluralError('INTERRUPTED', 'the worker pool is closed'));
        waiting.push({ job, resolve, reject });
        dispatch();
      }),
    close: async () => {
      abandon(new PluralError('INTERRUPTED', 'stopped before all jobs were done'));
      await Promise.all(seats.map(({ worker }) => worker.terminate()));
    },
  };
}
