import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import type { ErrorCode } from '../core/errors.ts';
import { PluralError } from '../core/errors.ts';
import { interrupted } from './transport.ts';

/** Waits; INTERRUPTED when the signal is given meanwhile. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>;

/** A failure that is waited out, for whoever shows it. */
export interface Waiting {
  readonly error: PluralError;
  readonly waitMs: number;
}

export interface RetryOptions {
  /** For how long it is tried again after the first failure, in milliseconds of waiting; Infinity: for ever. */
  readonly patienceMs: number;
  readonly sleep?: Sleep;
  /** Uniform in [0, 1): spreads the groups, so that they do not all come back at once. */
  readonly random?: () => number;
  readonly signal?: AbortSignal;
  readonly onWait?: (waiting: Waiting) => void;
}

/** Does an attempt until it succeeds, fails for good, or patience ends; then its last error is thrown. */
export type Retry = <Result>(attempt: () => Promise<Result>) => Promise<Result>;

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
/** The longest that an aggregator may tell us to wait. */
const LONGEST_ASKED_MS = 120_000;

/** What of an answer stands behind an error, as its cause. */
const answerCause = z.object({ status: z.int(), retryAfterMs: z.number().nullable() });
export type AnswerCause = z.output<typeof answerCause>;

/** Trouble that passes by itself; every request of ours may be repeated. */
const PASSING: readonly ErrorCode[] = [
  'AGGREGATOR_UNREACHABLE',
  'STORE_UNAVAILABLE',
  'RATE_LIMITED',
  'NONCE_REPLAYED',
];

/** Whether the same request may succeed later, although nothing about it changes. */
export function isPassing(thrown: unknown): thrown is PluralError {
  if (!(thrown instanceof PluralError)) return false;
  const cause = answerCause.safeParse(thrown.cause);
  return PASSING.includes(thrown.code) || (cause.success && cause.data.status >= 500);
}

/** A wait that a signal ends with INTERRUPTED. */
export const systemSleep: Sleep = async (ms, signal) => {
  try {
    await wait(ms, undefined, signal === undefined ? {} : { signal });
  } catch (thrown) {
    if (signal?.aborted) throw interrupted();
    throw thrown;
  }
};

/** Doubles from attempt to attempt; between half of it and all of it, by chance. */
function waitBefore(attempt: number, error: PluralError, random: () => number): number {
  const full = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt, 20));
  const cause = answerCause.safeParse(error.cause);
  const asked = cause.success ? (cause.data.retryAfterMs ?? 0) : 0;
  return Math.max((full * (1 + random())) / 2, Math.min(asked, LONGEST_ASKED_MS));
}

/** Repeats what failed for a passing reason, with exponential backoff and jitter. Any other error is thrown at once. */
export function retryWith(options: RetryOptions): Retry {
  const { patienceMs, sleep = systemSleep, random = Math.random, signal, onWait } = options;
  return async (attempt) => {
    let waited = 0;
    for (let failures = 0; ; failures++) {
      if (signal?.aborted) throw interrupted();
      try {
        return await attempt();
      } catch (thrown) {
        if (!isPassing(thrown) || waited >= patienceMs) throw thrown;
        const waitMs = waitBefore(failures, thrown, random);
        onWait?.({ error: thrown, waitMs });
        await sleep(waitMs, signal);
        waited += waitMs;
      }
    }
  };
}

/** One attempt and no more. */
export const once: Retry = (attempt) => attempt();
