import type { z } from 'zod';
import { PluralError } from '../core/errors.ts';
import { encodeCbor, readCbor } from '../wire/cbor.ts';
import {
  type AggregatorInfo,
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
import type { ModelRecord } from '../wire/model-record.ts';
import { type RunDefinition, runDefinitionSchema } from '../wire/run-definition.ts';
import {
  type Inbox,
  type InboxQuery,
  inboxSchema,
  type KeeperAnswer,
  keeperAnswerSchema,
  type Relayed,
  relayedAnswerSchema,
  type SeatAnswer,
  type SeatRequest,
  type SeatsAnswer,
  seatAnswerSchema,
  seatsAnswerSchema,
} from '../wire/sharding.ts';
import { readAnswer, readBytes } from './answers.ts';
import { once } from './retry.ts';
import { type Read, type SessionOptions, SignedSession } from './signed-session.ts';

/** Who asks whom, about which run. */
export interface ApiOptions extends SessionOptions {
  /** Name of the run. */
  readonly run: string;
}

/** Reads an answer by its schema. */
function json<Schema extends z.ZodType>(schema: Schema): Read<z.output<Schema>> {
  return (answer, where) => readAnswer(answer, schema, where);
}

/** A stage with its moments, and frames beside it. */
const MOST_INBOX_BYTES = 256 * 2 ** 20;
const MOST_INBOX_ITEMS = 100_000;

function inboxIn(bytes: Uint8Array, where: string): Inbox {
  const inbox = readCbor(bytes, inboxSchema, MOST_INBOX_ITEMS);
  if (inbox !== null) return inbox;
  throw new PluralError('AGGREGATOR_FAILED', `${where}: the answer does not fit this version`, {
    hint: 'Use the same version of pluralllm as the aggregator.',
  });
}

/**
 * What a group asks of its aggregator. Errors: those that the aggregator answers with; AGGREGATOR_UNTRUSTED where another
 * aggregator answers; AGGREGATOR_UNREACHABLE when patience ends.
 */
export class AggregatorApi {
  readonly #session: SignedSession;
  readonly #base: string;

  constructor(options: ApiOptions) {
    this.#session = new SignedSession(options);
    this.#base = `/v1/runs/${encodeURIComponent(options.run)}`;
  }

  /** Who answers there; asked once. */
  info(): Promise<AggregatorInfo> {
    return this.#session.info();
  }

  join(request: JoinRequest): Promise<JoinAnswer> {
    return this.#post('/groups', request, joinAnswerSchema);
  }

  async leave(): Promise<void> {
    await this.#session.ask({ method: 'DELETE', path: `${this.#base}/groups/me` }, json(doneSchema));
  }

  definition(): Promise<RunDefinition> {
    return this.#get('/definition', runDefinitionSchema);
  }

  /** What a step shows this group; at most `most` bytes. */
  shown(place: { round: number; attempt: number; step: number }, most: number): Promise<Uint8Array> {
    const { round, attempt, step } = place;
    const path = `${this.#base}/shown?round=${round}&attempt=${attempt}&step=${step}`;
    const read: Read<Uint8Array> = (answer, where) => readBytes(answer, most, where);
    return this.#session.ask({ method: 'GET', path }, read);
  }

  task(): Promise<Task> {
    return this.#get('/task', taskSchema);
  }

  /** Records of the rounds after `after`, ascending; -1 for all. Not all of them where there are many. */
  async models(after: number): Promise<readonly ModelRecord[]> {
    return (await this.#get(`/models?after=${after}`, modelRecordsSchema)).records;
  }

  /** One attempt to get some bytes of a model: at least one, at most `length`. */
  parametersPart(round: number, offset: number, length: number): Promise<Uint8Array> {
    const path = `${this.#base}/models/${round}/parameters?offset=${offset}&length=${length}`;
    const read: Read<Uint8Array> = (answer, where) => readBytes(answer, length, where);
    return this.#session.ask({ method: 'GET', path }, read, once);
  }

  /** Begins an upload, or says how far it has come. */
  beginUpload(digest: string, size: number): Promise<UploadAnswer> {
    return this.#post('/uploads', { digest, size }, uploadAnswerSchema);
  }

  /** One attempt to send some bytes of an upload. */
  sendPart(digest: string, offset: number, body: Uint8Array): Promise<UploadAnswer> {
    const path = `${this.#base}/uploads/${digest}?offset=${offset}`;
    const type = 'application/octet-stream';
    return this.#session.ask({ method: 'PUT', path, body, type }, json(uploadAnswerSchema), once);
  }

  /** Hands a complete upload in as this group's part of a step; `repeated`: it was there already. */
  submit(place: { round: number; step: number }, digest: string): Promise<{ repeated: boolean }> {
    const { round, step } = place;
    return this.#post('/submissions', { round, step, digest }, submissionAnswerSchema);
  }

  /** Joins a sharded run as one of its keepers. */
  joinKeeper(token: string | null): Promise<KeeperAnswer> {
    return this.#post('/keepers', { token }, keeperAnswerSchema);
  }

  /** Takes the seat of this key in a sharded run; the same one again changes nothing. */
  takeSeat(seat: SeatRequest): Promise<SeatAnswer> {
    return this.#post('/seat', seat, seatAnswerSchema);
  }

  /** All seats, and who came since the run began; none before that. */
  seats(): Promise<SeatsAnswer> {
    return this.#get('/seats', seatsAnswerSchema);
  }

  /** Hands frames to the relay. */
  async relay(relayed: Relayed): Promise<void> {
    const body = encodeCbor(relayed);
    const type = 'application/octet-stream';
    const path = `${this.#base}/frames`;
    await this.#session.ask({ method: 'POST', path, body, type }, json(relayedAnswerSchema));
  }

  /** What waits for this key at the relay, at once or as soon as there is something; INTERRUPTED when the signal fires. */
  async inbox(query: InboxQuery, signal: AbortSignal): Promise<Inbox> {
    const { relay, after, course, order, newcomers } = query;
    const known = `course=${course}&order=${order}&newcomers=${newcomers}`;
    const path = `${this.#base}/inbox?relay=${relay}&after=${after}&${known}`;
    const read: Read<Inbox> = (answer, where) => inboxIn(readBytes(answer, MOST_INBOX_BYTES, where), where);
    return this.#session.ask({ method: 'GET', path, signal }, read);
  }

  async score(request: ScoreRequest): Promise<void> {
    await this.#post('/scores', request, doneSchema);
  }

  #get<Schema extends z.ZodType>(place: string, schema: Schema): Promise<z.output<Schema>> {
    return this.#session.ask({ method: 'GET', path: this.#base + place }, json(schema));
  }

  #post<Schema extends z.ZodType>(
    place: string,
    content: unknown,
    schema: Schema,
  ): Promise<z.output<Schema>> {
    const body = Buffer.from(JSON.stringify(content), 'utf8');
    const type = 'application/json';
    return this.#session.ask({ method: 'POST', path: this.#base + place, body, type }, json(schema));
  }
}
