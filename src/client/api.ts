import { randomBytes } from 'node:crypto';
import type { z } from 'zod';
import { type Clock, systemClock } from '../core/clock.ts';
import { PluralError } from '../core/errors.ts';
import {
  type AggregatorInfo,
  aggregatorSchema,
  doneSchema,
  type JoinAnswer,
  type JoinRequest,
  joinAnswerSchema,
  modelRecordsSchema,
  type ScoreRequest,
  submissionAnswerSchema,
  type Task,
  taskSchema,
  type UploadAnswer,
  uploadAnswerSchema,
} from '../wire/http.ts';
import type { Identity } from '../wire/identity.ts';
import type { ModelRecord } from '../wire/model-record.ts';
import { type RunDefinition, runDefinitionSchema } from '../wire/run-definition.ts';
import { signRequest } from '../wire/signed-request.ts';
import { readAnswer, readBytes } from './answers.ts';
import { once, type Retry } from './retry.ts';
import type { Transport, TransportAnswer } from './transport.ts';

/** Who asks whom, about which run. */
export interface ApiOptions {
  readonly transport: Transport;
  readonly identity: Identity;
  /** Public key of the aggregator: any other is refused. */
  readonly aggregatorKey: string;
  /** Name of the run. */
  readonly run: string;
  readonly retry: Retry;
  readonly clock?: Clock;
}

const NOTHING = new Uint8Array();
const PUBLIC_PATH = '/v1/aggregator';

/** A request before it is signed; `path` begins with a slash. */
interface Ask {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: Uint8Array;
  readonly type?: string;
}

function jsonBody(value: unknown): { body: Uint8Array; type: string } {
  return { body: Buffer.from(JSON.stringify(value), 'utf8'), type: 'application/json' };
}

function isSkewed(thrown: unknown): boolean {
  return thrown instanceof PluralError && thrown.code === 'CLOCK_SKEWED';
}

/**
 * What a group asks of its aggregator. Each attempt is signed afresh; the time is the aggregator's own, as far as it can
 * be known from here. Errors: those that the aggregator answers with; AGGREGATOR_UNTRUSTED where another aggregator
 * answers; AGGREGATOR_UNREACHABLE when patience ends.
 */
export class AggregatorApi {
  readonly #options: ApiOptions;
  readonly #clock: Clock;
  readonly #base: string;
  #info: AggregatorInfo | undefined;
  /** The aggregator's clock minus ours, in milliseconds. */
  #offsetMs = 0;

  constructor(options: ApiOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#base = `/v1/runs/${encodeURIComponent(options.run)}`;
  }

  /** Who answers there; asked once. */
  info(): Promise<AggregatorInfo> {
    return this.#options.retry(() => this.#meet());
  }

  join(request: JoinRequest): Promise<JoinAnswer> {
    return this.#ask(
      { method: 'POST', path: `${this.#base}/groups`, ...jsonBody(request) },
      joinAnswerSchema,
    );
  }

  async leave(): Promise<void> {
    await this.#ask({ method: 'DELETE', path: `${this.#base}/groups/me` }, doneSchema);
  }

  definition(): Promise<RunDefinition> {
    return this.#ask({ method: 'GET', path: `${this.#base}/definition` }, runDefinitionSchema);
  }

  task(): Promise<Task> {
    return this.#ask({ method: 'GET', path: `${this.#base}/task` }, taskSchema);
  }

  /** Records of the rounds after `after`, ascending; -1 for all. Not all of them where there are many. */
  async models(after: number): Promise<readonly ModelRecord[]> {
    const path = `${this.#base}/models?after=${after}`;
    return (await this.#ask({ method: 'GET', path }, modelRecordsSchema)).records;
  }

  /** One attempt to get some bytes of a model: at least one, at most `length`. */
  async parametersPart(round: number, offset: number, length: number): Promise<Uint8Array> {
    const path = `${this.#base}/models/${round}/parameters?offset=${offset}&length=${length}`;
    const answer = await this.#signed({ method: 'GET', path });
    return readBytes(answer, length, `the parameters of round ${round}`);
  }

  /** Begins an upload, or says how far it has come. */
  beginUpload(digest: string, size: number): Promise<UploadAnswer> {
    const body = jsonBody({ digest, size });
    return this.#ask({ method: 'POST', path: `${this.#base}/uploads`, ...body }, uploadAnswerSchema);
  }

  /** One attempt to send some bytes of an upload. */
  sendPart(digest: string, offset: number, body: Uint8Array): Promise<UploadAnswer> {
    const path = `${this.#base}/uploads/${digest}?offset=${offset}`;
    const type = 'application/octet-stream';
    return this.#ask({ method: 'PUT', path, body, type }, uploadAnswerSchema, once);
  }

  /** Hands a complete upload in as this group's part of a step; `repeated`: it was there already. */
  submit(place: { round: number; step: number }, digest: string): Promise<{ repeated: boolean }> {
    const { round, step } = place;
    const body = jsonBody({ round, step, digest });
    return this.#ask({ method: 'POST', path: `${this.#base}/submissions`, ...body }, submissionAnswerSchema);
  }

  async score(request: ScoreRequest): Promise<void> {
    await this.#ask({ method: 'POST', path: `${this.#base}/scores`, ...jsonBody(request) }, doneSchema);
  }

  #ask<Schema extends z.ZodType>(ask: Ask, schema: Schema, retry: Retry = this.#options.retry) {
    return retry(async () => {
      const where = `${ask.method} ${ask.path.split('?')[0]}`;
      try {
        return readAnswer(await this.#signed(ask), schema, where);
      } catch (thrown) {
        if (!isSkewed(thrown)) throw thrown;
        // A clock was set since they were compared; if it is still off after this, it is no clock to go by.
        this.#info = undefined;
        return readAnswer(await this.#signed(ask), schema, where);
      }
    });
  }

  async #signed({ method, path, body = NOTHING, type }: Ask): Promise<TransportAnswer> {
    await this.#meet();
    const { transport, identity, aggregatorKey: audience } = this.#options;
    const timeMs = Math.max(0, Math.round(this.#clock.now() + this.#offsetMs));
    const nonce = randomBytes(16).toString('hex');
    const signature = signRequest(identity, { method, path, body }, { audience, timeMs, nonce });
    const headers = { ...signature, ...(type === undefined ? {} : { 'content-type': type }) };
    return transport({ method, path, headers, body });
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
