import { finished } from 'node:stream';
import rateLimit, { type RateLimitOptions } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { PluralError } from '../core/errors.ts';

const WINDOW_MS = 60_000;
/** Addresses and keys that are counted at once; the longest silent are forgotten first. */
const MOST_COUNTED = 50_000;
/** Answers that one key may wait for at once: each can hold a chunk of a model until it is read. */
const MOST_UNDER_WAY = 32;

/** Keys that are counted: only those whose signature was found to be right. */
const signers = new WeakMap<FastifyRequest, string>();

function tooMany(reply: FastifyReply, what: string, seconds: number): PluralError {
  reply.header('retry-after', seconds);
  return new PluralError('RATE_LIMITED', `${what}; try again in ${seconds} s`, {
    hint: 'Wait as long as the header retry-after says.',
  });
}

type Limiter = ReturnType<FastifyInstance['createRateLimit']>;

/** Requests a minute. */
export interface Rates {
  readonly anonymousPerMinute: number;
  readonly perKeyPerMinute: number;
}

/** Counts requests in this process: by the key that signed them, all others by their address. */
export class RateLimits {
  readonly #byAddress: Limiter;
  readonly #byKey: Limiter;
  readonly #underWay = new Map<string, number>();

  private constructor(byAddress: Limiter, byKey: Limiter) {
    this.#byAddress = byAddress;
    this.#byKey = byKey;
  }

  /** The counters, kept with `app`; they apply to nothing by themselves. */
  static async create(app: FastifyInstance, limits: Rates): Promise<RateLimits> {
    await app.register(rateLimit, { global: false });
    const common: RateLimitOptions = { timeWindow: WINDOW_MS, cache: MOST_COUNTED };
    const keyGenerator = (request: FastifyRequest) => signers.get(request) ?? '';
    const byAddress: RateLimitOptions = { ...common, max: limits.anonymousPerMinute };
    const byKey: RateLimitOptions = { ...common, max: limits.perKeyPerMinute, keyGenerator };
    return new RateLimits(app.createRateLimit(byAddress), app.createRateLimit(byKey));
  }

  /** Counts a request for its address. Errors: RATE_LIMITED. */
  async countAddress(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    await this.#check(this.#byAddress, 'too many requests of this address', request, reply, true);
  }

  /** Whether the address may ask, without counting. Errors: RATE_LIMITED. */
  async checkAddress(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    await this.#check(this.#byAddress, 'too many requests of this address', request, reply, false);
  }

  /** Counts a request for the key that signed it, until it is answered too. Errors: RATE_LIMITED. */
  async countKey(request: FastifyRequest, reply: FastifyReply, key: string): Promise<void> {
    signers.set(request, key);
    await this.#check(this.#byKey, 'too many requests of this key', request, reply, true);
    const underWay = this.#underWay.get(key) ?? 0;
    if (underWay >= MOST_UNDER_WAY) {
      throw tooMany(reply, `${underWay} requests of this key are not answered yet`, 1);
    }
    this.#underWay.set(key, underWay + 1);
    finished(reply.raw, () => this.#answered(key));
  }

  async #check(
    limiter: Limiter,
    what: string,
    request: FastifyRequest,
    reply: FastifyReply,
    increment: boolean,
  ): Promise<void> {
    const found = await limiter(request, { increment });
    // Without an allow-list everything is counted; looked at without counting, the last of the allowed is one too many.
    if (found.isAllowed) return;
    const exceeded = increment ? found.isExceeded : found.remaining === 0;
    if (exceeded) throw tooMany(reply, what, Math.max(1, found.ttlInSeconds));
  }

  #answered(key: string): void {
    const left = (this.#underWay.get(key) ?? 1) - 1;
    if (left === 0) this.#underWay.delete(key);
    else this.#underWay.set(key, left);
  }
}
