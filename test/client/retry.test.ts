import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPassing, retryWith, systemSleep, type Waiting } from '../../src/client/retry.ts';
import { type ErrorCode, PluralError } from '../../src/core/errors.ts';

const error = (code: ErrorCode, cause?: unknown) => new PluralError(code, code, { cause });
const unreachable = error('AGGREGATOR_UNREACHABLE');

/** Fails with these errors in turn, then succeeds. */
function failing(errors: readonly unknown[]) {
  let calls = 0;
  const attempt = async () => {
    if (calls < errors.length) throw errors[calls++];
    return ++calls;
  };
  return { attempt, calls: () => calls };
}

function patient(patienceMs = Number.POSITIVE_INFINITY, random = () => 0) {
  const waits: number[] = [];
  const seen: Waiting[] = [];
  const retry = retryWith({
    patienceMs,
    sleep: async (ms) => void waits.push(ms),
    random,
    onWait: (waiting) => seen.push(waiting),
  });
  return { retry, waits, seen };
}

describe('what is repeated', () => {
  test.each<[ErrorCode, unknown, boolean]>([
    ['AGGREGATOR_UNREACHABLE', undefined, true],
    ['RATE_LIMITED', { status: 429, retryAfterMs: null }, true],
    ['STORE_UNAVAILABLE', { status: 503, retryAfterMs: null }, true],
    ['NONCE_REPLAYED', { status: 401, retryAfterMs: null }, true],
    ['AGGREGATOR_FAILED', { status: 500, retryAfterMs: null }, true],
    ['DISK_FULL', { status: 507, retryAfterMs: null }, true],
    ['AGGREGATOR_FAILED', { status: 418, retryAfterMs: null }, false],
    ['KEY_REVOKED', { status: 403, retryAfterMs: null }, false],
    ['DISK_FULL', new Error('of this machine'), false],
    ['INTERRUPTED', undefined, false],
  ])('%s with %j: %s', (code, cause, passing) => {
    expect(isPassing(error(code, cause))).toBe(passing);
  });

  test('an error that does not pass is thrown at once', async () => {
    const { retry, waits } = patient();
    const { attempt } = failing([error('KEY_REVOKED')]);
    await expect(retry(attempt)).rejects.toMatchObject({ code: 'KEY_REVOKED' });
    expect(waits).toEqual([]);
  });

  test('a fault of our own is thrown at once', async () => {
    const { attempt } = failing([new TypeError('a bug')]);
    await expect(patient().retry(attempt)).rejects.toThrow(TypeError);
  });
});

describe('waiting', () => {
  test('doubles up to half a minute, and is told', async () => {
    const { retry, waits, seen } = patient(Number.POSITIVE_INFINITY, () => 1);
    const { attempt } = failing(Array(10).fill(unreachable));
    await retry(attempt);
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
    expect(seen.map(({ waitMs }) => waitMs)).toEqual(waits);
    expect(seen[0]!.error).toBe(unreachable);
  });

  test('begins anew with each thing that is tried', async () => {
    const { retry, waits } = patient();
    await retry(failing([unreachable, unreachable]).attempt);
    await retry(failing([unreachable]).attempt);
    expect(waits).toEqual([125, 250, 125]);
  });

  test('is as long as the aggregator asks, within bounds', async () => {
    const limited = (retryAfterMs: number) => error('RATE_LIMITED', { status: 429, retryAfterMs });
    const { retry, waits } = patient();
    await retry(failing([limited(7000), limited(10 ** 9)]).attempt);
    expect(waits).toEqual([7000, 120_000]);
  });

  test('ends with the last error when patience does', async () => {
    const last = error('STORE_UNAVAILABLE');
    const { retry, waits } = patient(500);
    const { attempt, calls } = failing([unreachable, unreachable, last, unreachable]);
    // 125 + 250 ms are waited, then 500 more: that is enough.
    await expect(retry(attempt)).rejects.toBe(unreachable);
    expect(waits).toEqual([125, 250, 500]);
    expect(calls()).toBe(4);
  });

  test('whatever the chance: never less than half of the full wait, never more than it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
          minLength: 1,
          maxLength: 12,
        }),
        async (chances) => {
          let draw = 0;
          const { retry, waits } = patient(Number.POSITIVE_INFINITY, () => chances[draw++]!);
          await retry(failing(chances.map(() => unreachable)).attempt);
          for (const [index, wait] of waits.entries()) {
            const full = Math.min(30_000, 250 * 2 ** index);
            expect(wait).toBeGreaterThanOrEqual(full / 2);
            expect(wait).toBeLessThanOrEqual(full);
          }
        },
      ),
    );
  });
});

describe('a signal', () => {
  test('given before the first attempt, nothing is tried', async () => {
    const { attempt, calls } = failing([]);
    const retry = retryWith({ patienceMs: 1000, signal: AbortSignal.abort() });
    await expect(retry(attempt)).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(calls()).toBe(0);
  });

  test('ends a wait', async () => {
    const controller = new AbortController();
    const waiting = systemSleep(3_600_000, controller.signal);
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});
