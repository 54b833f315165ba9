import { PluralError } from '../core/errors.ts';
import { CLOCK_TOLERANCE_MS, type SignedClaim } from '../wire/signed-request.ts';

/** How often those are forgotten that could not count any more. */
const SWEEP_EVERY_MS = 30_000;

/**
 * Nonces of signed requests in memory, for as long as their signatures count: for what lasts no longer than the process. The database, which keeps the others, would be written
 * once for every frame.
 */
export class RecentNonces {
  readonly #clock: { now(): number };
  readonly #expiries = new Map<string, number>();
  #sweptAt = 0;

  constructor(clock: { now(): number }) {
    this.#clock = clock;
  }

  /** Uses up the nonce of a request. Errors: NONCE_REPLAYED. */
  spend({ publicKey, nonce, timeMs }: SignedClaim): void {
    const now = this.#clock.now();
    if (now - this.#sweptAt > SWEEP_EVERY_MS) this.#sweep(now);
    const key = `${publicKey} ${nonce}`;
    if (this.#expiries.has(key)) throw replayed();
    this.#expiries.set(key, timeMs + 2 * CLOCK_TOLERANCE_MS);
  }

  #sweep(now: number): void {
    this.#sweptAt = now;
    for (const [key, expiry] of this.#expiries) if (expiry < now) this.#expiries.delete(key);
  }
}

/** The error of a nonce that was used before. */
export function replayed(): PluralError {
  return new PluralError('NONCE_REPLAYED', 'a request with this nonce was answered before', {
    hint: 'Sign each request anew, with a nonce of its own.',
  });
}
