import { randomBytes } from 'node:crypto';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import { makeUpdate } from '../../src/training/make-update.ts';
import { errorSchema, inviteAnswerSchema, runStatusSchema, taskSchema } from '../../src/wire/http.ts';
import type { Identity } from '../../src/wire/identity.ts';
import type { RunPlan } from '../../src/wire/run-definition.ts';
import { signRequest } from '../../src/wire/signed-request.ts';
import { encodeSubmission } from '../../src/wire/submission.ts';
import { inClear } from './in-clear.ts';
import { ADMIN_KEY, freshIdentity, type TestAggregator, tinyPlan } from './test-aggregator.ts';

type Method = NonNullable<InjectOptions['method']>;

/** A request before it is signed. A body that is no bytes is sent as JSON. */
export interface Call {
  readonly method: Method;
  readonly path: string;
  readonly body?: unknown;
}

/** What a signature says otherwise than an honest one, and headers that replace others (null: left out). */
export interface Twist {
  readonly signed?: Partial<{ method: string; path: string; body: Uint8Array }>;
  readonly audience?: string;
  readonly timeMs?: number;
  readonly nonce?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly remoteAddress?: string;
}

const NOTHING = new Uint8Array(0);

/** Bytes and content type of a body. */
export function payloadOf(body: unknown): { bytes: Uint8Array; type: string | null } {
  if (body === undefined) return { bytes: NOTHING, type: null };
  if (body instanceof Uint8Array) return { bytes: body, type: 'application/octet-stream' };
  return { bytes: Buffer.from(JSON.stringify(body)), type: 'application/json' };
}

/** The request as `app.inject` takes it, signed. */
export function signedOptions(
  { aggregator }: TestAggregator,
  identity: Identity,
  { method, path, body }: Call,
  twist: Twist = {},
): InjectOptions {
  const { bytes, type } = payloadOf(body);
  const signature = signRequest(
    identity,
    { method, path, body: bytes, ...twist.signed },
    {
      audience: twist.audience ?? aggregator.identity.publicKey,
      timeMs: twist.timeMs ?? aggregator.clock.now(),
      nonce: twist.nonce ?? randomBytes(16).toString('hex'),
    },
  );
  const all = { ...signature, ...(type === null ? {} : { 'content-type': type }), ...twist.headers };
  const headers = Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  );
  const payload = bytes.byteLength === 0 ? {} : { payload: Buffer.from(bytes) };
  const from = twist.remoteAddress === undefined ? {} : { remoteAddress: twist.remoteAddress };
  return { method, url: path, headers, ...payload, ...from };
}

/** Sends a signed request. */
export function signedInject(
  testAggregator: TestAggregator,
  identity: Identity,
  call: Call,
  twist: Twist = {},
): Promise<LightMyRequestResponse> {
  return testAggregator.app.inject(signedOptions(testAggregator, identity, call, twist));
}

/** Sends a request with the admin key. */
export function adminInject({ app }: TestAggregator, { method, path, body }: Call) {
  const { bytes, type } = payloadOf(body);
  const headers = {
    authorization: `Bearer ${ADMIN_KEY}`,
    ...(type === null ? {} : { 'content-type': type }),
  };
  return app.inject({
    method,
    url: path,
    headers,
    ...(type === null ? {} : { payload: Buffer.from(bytes) }),
  });
}

/** Status and code of a refusal; the code is null where there is none. */
export function refusalIn(response: LightMyRequestResponse): { status: number; code: string | null } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(response.payload);
  } catch {
    parsed = null;
  }
  const error = errorSchema.safeParse(parsed);
  return { status: response.statusCode, code: error.success ? error.data.error.code : null };
}

function must(response: LightMyRequestResponse): LightMyRequestResponse {
  if (response.statusCode === 200) return response;
  throw new Error(`${response.statusCode}: ${response.payload}`);
}

/** A group with its key, in a run or about to join it. */
export interface TestGroup {
  readonly run: string;
  readonly group: string;
  readonly identity: Identity;
}

/** One run and its groups, driven by requests alone. */
export class TestRun {
  readonly testAggregator: TestAggregator;
  readonly run: string;
  readonly digest: string;
  readonly parameters: number;

  private constructor(testAggregator: TestAggregator, run: string, digest: string, parameters: number) {
    this.testAggregator = testAggregator;
    this.run = run;
    this.digest = digest;
    this.parameters = parameters;
  }

  static async create(
    testAggregator: TestAggregator,
    { name = 'tiny', plan = tinyPlan() }: { name?: string; plan?: RunPlan } = {},
  ): Promise<TestRun> {
    const body = { name, plan };
    const made = must(await adminInject(testAggregator, { method: 'POST', path: '/v1/admin/runs', body }));
    const { run, digest } = made.json();
    return new TestRun(testAggregator, run, digest, plan.parameters);
  }

  path(rest: string): string {
    return `/v1/runs/${this.run}${rest}`;
  }

  async invite(group: string | null = null, expiresInMs = 60_000): Promise<string> {
    const path = `/v1/admin/runs/${this.run}/invitations`;
    const body = { group, count: 1, expiresInMs };
    const made = must(await adminInject(this.testAggregator, { method: 'POST', path, body }));
    return inviteAnswerSchema.parse(made.json()).tokens[0]!;
  }

  /** Invites a group, which joins. */
  async join(group: string, identity: Identity = freshIdentity()): Promise<TestGroup> {
    const member = { run: this.run, group, identity };
    const body = { group, token: await this.invite() };
    must(await this.send(member, { method: 'POST', path: this.path('/groups'), body }));
    return member;
  }

  send({ identity }: Pick<TestGroup, 'identity'>, call: Call, twist: Twist = {}) {
    return signedInject(this.testAggregator, identity, call, twist);
  }

  async task(member: TestGroup) {
    return taskSchema.parse(
      must(await this.send(member, { method: 'GET', path: this.path('/task') })).json(),
    );
  }

  async status() {
    const response = await this.testAggregator.app.inject({ method: 'GET', url: this.path('') });
    return runStatusSchema.parse(must(response).json());
  }

  /** A submission that fits what is asked of the group now, or what `change` says. */
  async submission(member: TestGroup, change: SubmissionChange = {}) {
    const { round, model } = await this.task(member);
    return encodedUpdate({
      group: member.group,
      round,
      run: this.digest,
      model: model.model,
      parameters: this.parameters,
      ...change,
    });
  }

  begin(member: TestGroup, digest: string, size: number) {
    return this.send(member, { method: 'POST', path: this.path('/uploads'), body: { digest, size } });
  }

  chunk(member: TestGroup, digest: string, offset: number, body: Uint8Array) {
    return this.send(member, { method: 'PUT', path: this.path(`/uploads/${digest}?offset=${offset}`), body });
  }

  async upload(member: TestGroup, { bytes, digest }: { bytes: Uint8Array; digest: string }): Promise<void> {
    must(await this.begin(member, digest, bytes.byteLength));
    const { chunkBytes } = this.testAggregator.services.limits;
    for (let at = 0; at < bytes.byteLength; at += chunkBytes) {
      must(await this.chunk(member, digest, at, bytes.subarray(at, at + chunkBytes)));
    }
  }

  submit(member: TestGroup, claim: { round: number; step: number; digest: string }) {
    return this.send(member, { method: 'POST', path: this.path('/submissions'), body: claim });
  }

  /** Does what a group does in a round. */
  async takePart(member: TestGroup): Promise<void> {
    const submission = await this.submission(member);
    await this.upload(member, submission);
    const { round, step, digest } = submission;
    must(await this.submit(member, { round, step, digest }));
  }

  /** Waits until the run has left the folding of a round. */
  async folded(round: number): Promise<void> {
    for (let look = 0; look < 1000; look++) {
      const { history } = await this.status();
      if (history.some((summary) => summary.round === round)) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`round ${round} is not folded`);
  }
}

/** How an update differs from what is asked. */
export interface SubmissionChange {
  readonly group?: string;
  readonly round?: number;
  readonly step?: number;
  readonly run?: string;
  readonly model?: string;
  readonly parameters?: number;
  readonly weight?: number;
  /** Value of all parameters of the delta. */
  readonly value?: number;
}

/** The bytes of an update, as a group would send them. */
export function encodedUpdate(
  content: SubmissionChange & {
    group: string;
    round: number;
    run: string;
    model: string;
    parameters: number;
  },
) {
  const { group, round, step = 0, run, model, parameters, weight = 3, value = 0.25 } = content;
  const update = makeUpdate({
    group,
    round,
    weight,
    received: new Float32Array(parameters),
    trained: new Float32Array(parameters).fill(value),
    score: null,
    rows: null,
  });
  return encodeSubmission(inClear(update), { run, step, model });
}
