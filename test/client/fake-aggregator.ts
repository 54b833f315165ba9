import type { Transport, TransportAnswer, TransportRequest } from '../../src/client/transport.ts';
import { bytesOf } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/digest.ts';
import { asPluralError, PluralError } from '../../src/core/errors.ts';
import { none } from '../../src/privacy/none.ts';
import type { Collection, Protection } from '../../src/privacy/protection.ts';
import { type AggregatorMessage, stepAggregator } from '../../src/round/aggregator.ts';
import { type AggregatorState, digestFrom, newRun } from '../../src/round/aggregator-state.ts';
import { fedavg } from '../../src/strategy/fedavg.ts';
import type { ScoreRequest } from '../../src/wire/http.ts';
import { identityOf } from '../../src/wire/identity.ts';
import { makeModel } from '../../src/wire/model.ts';
import { type ModelRecord, recordDigest, signRecord } from '../../src/wire/model-record.ts';
import { type RunDefinition, runDigest } from '../../src/wire/run-definition.ts';
import { readSignature } from '../../src/wire/signed-request.ts';
import type { Model } from '../../src/wire/stages.ts';
import { decodeSubmission } from '../../src/wire/submission.ts';
import { SHAPE } from '../support/protected-round.ts';

export const RUN = 'fake';
const PLACES = `/v1/runs/${RUN}`;

/** A definition that only stand-ins for local work can do anything with. */
export function fakeDefinition(parameters: number, rounds: number, quorum = 1): RunDefinition {
  const question = (id: string) => ({ id, text: `${id}?`, options: ['yes', 'no'] });
  return {
    format: 1,
    run: RUN,
    nonce: '0'.repeat(32),
    plan: {
      config: { training: { rounds } },
      survey: { name: 'fake', questions: [question('a'), question('b')], heldOutQuestions: [] },
      features: { provider: 'fake', width: 1, digest: '0'.repeat(64) },
      parameters,
      quorum,
      deadlineMs: 1000,
    },
  };
}

interface Upload {
  readonly size: number;
  bytes: Uint8Array;
}

export interface FakeOptions {
  readonly parameters: number;
  readonly rounds: number;
  readonly quorum?: number;
  /** Left out: none. */
  readonly protection?: Protection;
  readonly chunkBytes?: number;
  readonly now?: () => number;
}

const refusals = {
  'wrong-round': 'UPDATE_OF_ANOTHER_ROUND',
  'wrong-step': 'UPDATE_OF_ANOTHER_ROUND',
  'not-asked': 'GROUP_NOT_ASKED',
  'not-collecting': 'GROUP_NOT_ASKED',
  'changed-submission': 'UPDATE_CHANGED',
} as const;

/** An aggregator in memory, with the real state machine, the real sum and real signatures. It folds at once. */
export class FakeAggregator {
  readonly identity = identityOf('5a'.repeat(32));
  readonly definition: RunDefinition;
  readonly digest: string;
  readonly protection: Protection;
  readonly models: Model[];
  readonly records: ModelRecord[];
  readonly scores: (ScoreRequest & { group: string })[] = [];
  /** Digests of what was accepted, as `round/group/digest`. */
  readonly accepted: string[] = [];
  /** Requests answered, as `METHOD path` without the query. */
  readonly log: string[] = [];
  /** May change what is answered. */
  tamper: (request: TransportRequest, content: unknown) => unknown = (_, content) => content;
  /** May refuse. */
  before: (request: TransportRequest) => void = () => undefined;
  state: AggregatorState;
  readonly #options: FakeOptions;
  readonly #members = new Map<string, string>();
  readonly #uploads = new Map<string, Upload>();
  readonly #submitted = new Map<string, Uint8Array>();
  readonly #nonces = new Set<string>();

  constructor(options: FakeOptions) {
    this.#options = options;
    const { parameters, rounds, quorum = 1, protection = none.create({}, SHAPE) } = options;
    this.protection = protection;
    this.definition = fakeDefinition(parameters, rounds, quorum);
    this.digest = runDigest(this.definition);
    this.state = newRun({ rounds, quorum, steps: protection.steps });
    const start = makeModel(
      0,
      Float32Array.from({ length: parameters }, (_, i) => i / parameters),
    );
    this.models = [start];
    this.records = [this.#record(start, null, 0)];
  }

  get transport(): Transport {
    return async (request) => this.#answer(request);
  }

  /** Puts a group in as if it had joined long ago. */
  enrol(group: string, publicKey: string): void {
    this.#members.set(publicKey, group);
    this.deliver({ type: 'join', group });
  }

  /** What only the machine can do. */
  deliver(message: AggregatorMessage): ReturnType<typeof stepAggregator>['effects'] {
    const { state, effects } = stepAggregator(this.state, message);
    this.state = state;
    for (const effect of effects) if (effect.type === 'fold') this.#fold(effect.round);
    return effects;
  }

  #record(model: Model, previous: ModelRecord | null, updates: number): ModelRecord {
    const { round, digest } = model;
    const link = previous === null ? null : recordDigest(previous);
    return signRecord(this.identity, { run: this.digest, round, model: digest, previous: link, updates });
  }

  /** What came in the first steps of the round under way. */
  #collected(steps: number): Collection {
    const { round, attempt, replies } = this.state;
    const { digest: model, parameters } = this.models.at(-1)!;
    const context = { run: this.digest, round, attempt, model, parameters: parameters.length };
    const collection = this.protection.collect(context);
    for (const [step, listed] of replies.slice(0, steps).entries()) {
      for (const { digest } of listed) {
        collection.add(step, decodeSubmission(this.#submitted.get(digest)!).update);
      }
      collection.close(
        step,
        listed.map(({ group }) => group),
      );
    }
    return collection;
  }

  #fold(round: number): void {
    const last = this.models.at(-1)!;
    if (this.state.skipped) this.#publish(makeModel(round, last.parameters), 0);
    else {
      const aggregate = this.#collected(this.state.replies.length).finish();
      this.#publish(fedavg.create({}).next(last, aggregate, null).model, aggregate.groups.length);
    }
  }

  #publish(model: Model, updates: number): void {
    this.records.push(this.#record(model, this.records.at(-1)!, updates));
    this.models.push(model);
    this.deliver({ type: 'folded', round: model.round });
  }

  #answer(request: TransportRequest): TransportAnswer {
    const headers = { 'content-type': 'application/json' };
    try {
      this.log.push(`${request.method} ${request.path.split('?')[0]}`);
      this.before(request);
      const content = this.tamper(request, this.#route(request));
      if (content instanceof Uint8Array) {
        return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body: content };
      }
      return { status: 200, headers, body: Buffer.from(JSON.stringify(content)) };
    } catch (thrown) {
      const { code, message, hint } = asPluralError(thrown);
      const status = code === 'INTERNAL' || code === 'STORE_UNAVAILABLE' ? 503 : 400;
      const body = Buffer.from(JSON.stringify({ error: { code, message, hint: hint ?? null } }));
      return { status, headers, body };
    }
  }

  #claim(request: TransportRequest): string {
    const nowMs = this.#options.now?.() ?? Date.now();
    const { publicKey, nonce, bodyDigest } = readSignature(request.headers, request, {
      audience: this.identity.publicKey,
      nowMs,
    });
    if (bodyDigest !== sha256(request.body)) throw new PluralError('BODY_DIGEST', 'another body');
    if (this.#nonces.has(nonce)) throw new PluralError('NONCE_REPLAYED', 'seen before');
    this.#nonces.add(nonce);
    return publicKey;
  }

  #route(request: TransportRequest): unknown {
    const { method, body } = request;
    const url = new URL(request.path, 'http://fake');
    if (url.pathname === '/v1/aggregator') return this.#info();
    const key = this.#claim(request);
    const place = `${method} ${url.pathname.replace(PLACES, '')}`;
    const content = (): Record<string, never> => JSON.parse(Buffer.from(body).toString('utf8'));
    if (place === 'POST /groups') return this.#join(key, content()['group']!);
    const group = this.#members.get(key);
    if (group === undefined) throw new PluralError('KEY_UNKNOWN', 'no such group');
    if (place === 'DELETE /groups/me') {
      this.deliver({ type: 'leave', group });
      return { done: true };
    }
    if (place === 'GET /definition') return this.definition;
    if (place === 'GET /task') return this.#task(group);
    if (place === 'GET /shown') return this.#shown(group, url.searchParams);
    if (place === 'GET /models') return this.#modelsAfter(Number(url.searchParams.get('after')));
    if (place === 'POST /scores') {
      this.scores.push({ ...(content() as unknown as ScoreRequest), group });
      return { done: true };
    }
    if (place === 'POST /uploads') return this.#begin(content()['digest']!, content()['size']!);
    if (place === 'POST /submissions') return this.#submit(group, content());
    const upload = /^PUT \/uploads\/(\w+)$/.exec(place)?.[1];
    if (upload !== undefined) return this.#chunk(upload, Number(url.searchParams.get('offset')), body);
    const round = /^GET \/models\/(\d+)\/parameters$/.exec(place)?.[1];
    if (round === undefined) throw new PluralError('ROUTE_UNKNOWN', place);
    const offset = Number(url.searchParams.get('offset'));
    const length = Number(url.searchParams.get('length'));
    return bytesOf(this.models[Number(round)]!.parameters).slice(offset, offset + length);
  }

  #info() {
    const limits = { chunkBytes: this.#options.chunkBytes ?? 2 ** 20, uploadBytes: 2 ** 30 };
    const timeMs = this.#options.now?.() ?? Date.now();
    return { name: 'pluralllm', version: '0', publicKey: this.identity.publicKey, timeMs, limits };
  }

  #join(key: string, group: string) {
    const repeated = this.#members.get(key) === group;
    this.enrol(group, key);
    if (this.state.phase === 'waiting' && this.state.enrolled.length >= this.state.quorum) {
      this.deliver({ type: 'start' });
    }
    return { group, digest: this.digest, repeated, definition: this.definition };
  }

  #task(group: string) {
    const { phase, round, rounds, attempt, step, asked, failure } = this.state;
    return {
      phase,
      round,
      rounds,
      attempt,
      step,
      asked: phase === 'collecting' && asked.includes(group),
      replied: digestFrom(this.state, step, group) ?? null,
      model: this.records.at(-1),
      failure,
      deadlineAt: null,
      pollAfterMs: 100,
    };
  }

  #shown(group: string, asked: URLSearchParams): Uint8Array {
    const { round, attempt, step } = this.state;
    const here = { round, attempt, step };
    for (const [name, value] of Object.entries(here)) {
      if (Number(asked.get(name)) !== value) throw new PluralError('UPDATE_OF_ANOTHER_ROUND', `not ${name}`);
    }
    return this.#collected(step).show(step, group);
  }

  /** Two at a time, so that there is more than one page. */
  #modelsAfter(after: number) {
    return { records: this.records.filter(({ round }) => round > after).slice(0, 2) };
  }

  #begin(digest: string, size: number) {
    if (!this.#uploads.has(digest)) this.#uploads.set(digest, { size, bytes: new Uint8Array() });
    return this.#uploadState(digest);
  }

  #uploadState(digest: string) {
    const { size, bytes } = this.#uploads.get(digest)!;
    return { received: bytes.byteLength, size, complete: bytes.byteLength === size };
  }

  #chunk(digest: string, offset: number, body: Uint8Array) {
    const upload = this.#uploads.get(digest);
    if (upload === undefined) throw new PluralError('UPLOAD_INCOMPLETE', 'not begun');
    const received = upload.bytes.byteLength;
    if (offset + body.byteLength > upload.size) throw new PluralError('UPLOAD_RANGE', 'beyond the end');
    if (offset + body.byteLength <= received) return this.#uploadState(digest);
    if (offset !== received) throw new PluralError('UPLOAD_RANGE', `stands at ${received}`);
    upload.bytes = Buffer.concat([upload.bytes, body]);
    if (upload.bytes.byteLength === upload.size && sha256(upload.bytes) !== digest) {
      this.#uploads.delete(digest);
      throw new PluralError('UPLOAD_DIGEST', 'something else');
    }
    return this.#uploadState(digest);
  }

  /** Forgets what was uploaded and not submitted, as a clean-up might. */
  forgetUploads(): void {
    this.#uploads.clear();
  }

  has(digest: string): boolean {
    return this.#uploads.has(digest);
  }

  /** What was uploaded under a name, whole or not. */
  uploaded(digest: string): Buffer {
    return Buffer.from(this.#uploads.get(digest)!.bytes);
  }

  #submit(group: string, { round, step, digest }: Record<string, never>) {
    const bytes = this.#uploads.get(digest!)?.bytes ?? this.#submitted.get(digest!);
    if (bytes === undefined || sha256(bytes) !== digest) throw new PluralError('UPLOAD_INCOMPLETE', 'lost');
    this.#submitted.set(digest!, bytes);
    const effects = this.deliver({ type: 'submission', group, round: round!, step: step!, digest: digest! });
    const [answer] = effects;
    if (answer?.type === 'refuse') throw new PluralError(refusals[answer.reason], answer.reason);
    const repeated = answer?.type === 'acknowledge' && answer.repeated;
    if (!repeated) this.accepted.push(`${round}/${group}/${digest}`);
    return { repeated };
  }
}
