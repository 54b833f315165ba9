import type { Aggregator } from './aggregator.ts';

/** How often the table is looked at for what other replicas did. */
const LOOK_EVERY_MS = 500;
const MOST_AT_ONCE = 500;
const COMMENT_EVERY_MS = 15_000;

/** Wakes those who wait for something new of a run in this process. */
export class Doorbell {
  readonly #waiting = new Map<string, Set<() => void>>();

  ring(run: string): void {
    const waiting = this.#waiting.get(run);
    this.#waiting.delete(run);
    for (const wake of waiting ?? []) wake();
  }

  /** Resolves at the next ring, after `ms`, or when the signal fires. */
  wait(run: string, ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const waiting = this.#waiting.get(run) ?? new Set();
      this.#waiting.set(run, waiting);
      const wake = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      signal.addEventListener('abort', wake);
      waiting.add(wake);
    });
  }
}

/**
 * The events of a run after `after`, as server-sent events, until the signal fires. Comments keep proxies from closing a
 * quiet stream.
 */
export async function* eventStream(
  { db, clock }: Aggregator,
  doorbell: Doorbell,
  run: string,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<string> {
  let last = after;
  let spokenAt = clock.now();
  yield 'retry: 2000\n\n';
  while (!signal.aborted) {
    const rows = await db
      .selectFrom('events')
      .select(['seq', 'type', 'data'])
      .where('run', '=', run)
      .where('seq', '>', last)
      .orderBy('seq')
      .limit(MOST_AT_ONCE)
      .execute();
    for (const { seq, type, data } of rows) {
      yield `id: ${seq}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
      last = seq;
    }
    if (rows.length > 0) spokenAt = clock.now();
    if (rows.length === MOST_AT_ONCE) continue;
    if (clock.now() - spokenAt > COMMENT_EVERY_MS) {
      yield ': still here\n\n';
      spokenAt = clock.now();
    }
    await doorbell.wait(run, LOOK_EVERY_MS, signal);
  }
}

/** The newest event of a run; 0 where there is none. */
export async function newestEvent({ db }: Aggregator, run: string): Promise<number> {
  const { newest } = await db
    .selectFrom('events')
    .select(({ fn }) => fn.max('seq').as('newest'))
    .where('run', '=', run)
    .executeTakeFirstOrThrow();
  return Number(newest ?? 0);
}
