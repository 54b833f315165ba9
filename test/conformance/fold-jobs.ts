import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PluralError } from '../../src/core/errors.ts';
import type { FoldErrorListener, FoldJobs, FoldWork } from '../../src/server/jobs/fold-jobs.ts';

/** What the suite needs to know about an engine for fold jobs. */
export interface FoldJobsCase {
  readonly name: string;
  /** A new engine with a queue of its own, that tries a failed fold again after a second at most. */
  readonly open: (onError: FoldErrorListener) => FoldJobs;
}

const PATIENCE = { timeout: 60_000, interval: 10 };

/** Waits until it holds; for what only becomes true. */
export async function eventually(claim: () => void | Promise<void>): Promise<void> {
  await vi.waitFor(claim, PATIENCE);
}

/** Work that notes what it is asked to do, and takes as long as the gate is shut. */
export class RecordedWork {
  readonly done: string[] = [];
  readonly begun: string[] = [];
  atOnce = 0;
  mostAtOnce = 0;
  /** Failures that are to come, of any fold, first to last. */
  readonly failures: Error[] = [];
  #gate: Promise<void> = Promise.resolve();
  #openGate: () => void = () => undefined;

  shutGate(): void {
    this.#gate = new Promise((resolve) => {
      this.#openGate = resolve;
    });
  }

  openGate(): void {
    this.#openGate();
  }

  readonly work: FoldWork = async (run, round) => {
    this.begun.push(`${run} ${round}`);
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce);
    await this.#gate;
    await new Promise((resolve) => setTimeout(resolve, 5));
    this.atOnce--;
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    this.done.push(`${run} ${round}`);
  };
}

/** What every engine for fold jobs promises; called from the test of each. */
export function foldJobsConformance({ name, open }: FoldJobsCase): void {
  describe(`conformance of fold jobs "${name}"`, () => {
    let jobs: FoldJobs;
    let recorded: RecordedWork;
    let errors: [PluralError, string | null, number | null][];

    beforeEach(() => {
      errors = [];
      recorded = new RecordedWork();
      jobs = open((...error) => errors.push(error));
    });

    afterEach(async () => {
      recorded.openGate();
      await jobs.stop();
    });

    test('does what it is asked for, each run and round on its own, and one at a time', async () => {
      await jobs.start(recorded.work);
      const folds = [
        ['a', 1],
        ['a', 2],
        ['b', 1],
        ['a 1', 1],
        ['a', 11],
      ] as const;
      await Promise.all(folds.map(([run, round]) => jobs.request(run, round)));
      await eventually(() => expect(recorded.done).toHaveLength(folds.length));
      expect(new Set(recorded.done)).toEqual(new Set(folds.map(([run, round]) => `${run} ${round}`)));
      expect(recorded.mostAtOnce).toBe(1);
      expect(errors).toEqual([]);
    });

    test('what waits is there once, however often it is asked for, and is done after the start', async () => {
      await Promise.all(Array.from({ length: 10 }, () => jobs.request('a', 1)));
      for (let again = 0; again < 3; again++) await jobs.request('a', 1);
      await jobs.request('last', 1);
      expect(recorded.begun).toEqual([]);
      await jobs.start(recorded.work);
      await eventually(() => expect(recorded.done).toContain('last 1'));
      expect(recorded.begun).toEqual(['a 1', 'last 1']);
    });

    test('what is under way is not begun once more', async () => {
      recorded.shutGate();
      await jobs.start(recorded.work);
      await jobs.request('a', 1);
      await eventually(() => expect(recorded.begun).toEqual(['a 1']));
      for (let again = 0; again < 5; again++) await jobs.request('a', 1);
      await jobs.request('last', 1);
      recorded.openGate();
      await eventually(() => expect(recorded.done).toContain('last 1'));
      expect(recorded.begun).toEqual(['a 1', 'last 1']);
    });

    test('what is done is done again when it is asked for again', async () => {
      await jobs.start(recorded.work);
      await jobs.request('a', 1);
      await eventually(() => expect(recorded.done).toEqual(['a 1']));
      await eventually(async () => {
        // Until the end of the first is noted, the request adds nothing.
        await jobs.request('a', 1);
        expect(recorded.done.length).toBeGreaterThan(1);
      });
    });

    test('a failed fold is told, then tried again until it is done, and is not in the way of others', async () => {
      const failure = new PluralError('STORE_UNAVAILABLE', 'no bucket today');
      recorded.failures.push(failure, new Error('something else'), failure);
      await jobs.request('a', 1);
      await jobs.start(recorded.work);
      await eventually(() => expect(errors).toHaveLength(1));
      expect(errors[0]).toEqual([failure, 'a', 1]);
      await jobs.request('b', 1);
      await eventually(() => expect(recorded.done).toHaveLength(2));
      expect(new Set(recorded.done)).toEqual(new Set(['a 1', 'b 1']));
      expect(recorded.begun).toHaveLength(5);
      expect(errors.map(([{ code }]) => code)).toEqual([
        'STORE_UNAVAILABLE',
        'INTERNAL',
        'STORE_UNAVAILABLE',
      ]);
    });

    test('what failed and waits for its next attempt is there once', async () => {
      recorded.failures.push(new Error('once'));
      await jobs.start(recorded.work);
      await jobs.request('a', 1);
      await eventually(() => expect(errors).toHaveLength(1));
      await Promise.all(Array.from({ length: 5 }, () => jobs.request('a', 1)));
      await eventually(() => expect(recorded.done).toEqual(['a 1']));
      await jobs.request('last', 1);
      await eventually(() => expect(recorded.done).toContain('last 1'));
      expect(recorded.begun).toEqual(['a 1', 'a 1', 'last 1']);
    });

    test('the end waits for what is under way and takes nothing more', async () => {
      recorded.shutGate();
      await jobs.start(recorded.work);
      await jobs.request('a', 1);
      await eventually(() => expect(recorded.begun).toEqual(['a 1']));
      await jobs.request('b', 1);
      let stopped = false;
      const stopping = jobs.stop().then(() => {
        stopped = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(stopped).toBe(false);
      recorded.openGate();
      await stopping;
      expect(recorded.done).toEqual(['a 1']);
      await jobs.request('c', 1);
      expect(recorded.begun).toEqual(['a 1']);
      await jobs.stop();
    });

    test('the end waits for no further attempt of what failed', async () => {
      recorded.failures.push(...Array.from({ length: 100 }, () => new Error('always')));
      await jobs.start(recorded.work);
      await jobs.request('a', 1);
      await eventually(() => expect(recorded.begun.length).toBeGreaterThan(3));
      await jobs.stop();
      const { length } = recorded.begun;
      await new Promise((resolve) => setTimeout(resolve, 1500));
      expect(recorded.begun).toHaveLength(length);
    });

    test('ends without a start, and with nothing to do', async () => {
      await jobs.stop();
      const idle = open(() => undefined);
      await idle.start(recorded.work);
      await idle.stop();
      expect(recorded.begun).toEqual([]);
    });
  });
}
