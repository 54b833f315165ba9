import { randomBytes } from 'node:crypto';
import { type Clock, systemClock } from '../core/clock.ts';
import { PluralError } from '../core/errors.ts';
import { type AggregatorInfo, aggregatorSchema } from '../wire/http.ts';
import type { Identity } from '../wire/identity.ts';
import { signRequest } from '../wire/signed-request.ts';
import { readAnswer } from './answers.ts';
import { isCode } from './failures.ts';
import type { Retry } from './retry.ts';
import type { Transport, TransportAnswer } from './transport.ts';

/** Who asks whom. */
export interface SessionOptions {
  readonly transport: Transport;
  readonly identity: Identity;
  /** Public key of the aggregator: any other is refused. */
  readonly aggregatorKey: string;
  readonly retry: Retry;
  readonly clock?: Clock;
}

const NOTHING = new Uint8Array();
const PUBLIC_PATH = '/v1/aggregator';

/** A request before it is signed; `path` begins with a slash. */
export interface Ask {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: Uint8Array;
  readonly type?: string;
  /** Calls it off: INTERRUPTED. */
  readonly signal?: AbortSignal;
}

/** What an answer says; throws the error that it carries. `where` names the request. */
export type Read<Result> = (answer: TransportAnswer, where: string) => Result;

/**
 * Signed requests to one aggregator. Each attempt is signed afresh; the time is the aggregator's own, as far as it can be
 * known from here.
 */
export class SignedSession {
  readonly #options: SessionOptions;
  readonly #clock: Clock;
  #info: AggregatorInfo | undefined;
  /** The aggregator's clock minus ours, in milliseconds. */
  #offsetMs = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Who answers there; asked once. */
  info(): Promise<AggregatorInfo> {
    return this.#options.retry(() => this.#meet());
  }

  /** Asks until there is an answer, and reads it. `retry` replaces the session's patience. */
  ask<Result>(ask: Ask, read: Read<Result>, retry: Retry = this.#options.retry): Promise<Result> {
    return retry(async () => {
      const where = `${ask.method} ${ask.path.split('?')[0]}`;
      try {
        return read(await this.#send(ask), where);
      } catch (thrown) {
        if (!isCode(thrown, ['CLOCK_SKEWED'])) throw thrown;
        // A clock was set since they were compared; if it is still off after this, it is no clock to go by.
        this.#info = undefined;
        return read(await this.#send(ask), where);
      }
    });
  }

  async #send({ method, path, body = NOTHING, type, signal }: Ask): Promise<TransportAnswer> {
    await this.#meet();
    const { transport, identity, aggregatorKey: audience } = this.#options;
    const timeMs = Math.max(0, Math.round(this.#clock.now() + this.#offsetMs));
    const nonce = randomBytes(16).toString('hex');
    const signature = signRequest(identity, { method, path, body }, { audience, timeMs, nonce });
    const headers = { ...signature, ...(type === undefined ? {} : { 'content-type': type }) };
    return transport({ method, path, headers, body, ...(signal === undefined ? {} : { signal }) });
  }

  async #meet(): Promise<AggregatorInfo> {
    if (this.#info !== undefined) return this.#info;
    const sentAt = this.#clock.now();
    const answer = await this.#options.transport({
      method: 'GET',
      path: PUBLIC_PATH,
      headers: {},
      body: NOTHING,
    });
    const info = readAnswer(answer, aggregatorSchema, `GET ${PUBLIC_PATH}`);
    if (info.publicKey !== this.#options.aggregatorKey) throw stranger();
    // Half of the way there and back is the best guess of when it looked at its clock.
    this.#offsetMs = info.timeMs - (sentAt + this.#clock.now()) / 2;
    this.#info = info;
    return info;
  }
}

function stranger(): PluralError {
  return new PluralError('AGGREGATOR_UNTRUSTED', 'the aggregator there is not the one of the invitation', {
    hint: 'Its key is another. Ask those who invited you; a new aggregator needs a new invitation.',
  });
}
