import type { z } from 'zod';
import {
  type AggregatorInfo,
  aggregatorSchema,
  type CreateRunRequest,
  createRunAnswerSchema,
  doneSchema,
  type InviteRequest,
  inviteAnswerSchema,
  type RunStatus,
  runListSchema,
  runStatusSchema,
} from '../wire/http.ts';
import { readAnswer } from './answers.ts';
import { once, type Retry } from './retry.ts';
import type { Transport } from './transport.ts';

export interface AdminOptions {
  readonly transport: Transport;
  readonly retry: Retry;
  /** Bearer key of the admin routes; null where only public ones are asked. */
  readonly adminKey: string | null;
}

type Method = 'GET' | 'POST' | 'DELETE';

function runPath(run: string): string {
  return `/v1/runs/${encodeURIComponent(run)}`;
}

function adminPath(run: string): string {
  return `/v1/admin/runs/${encodeURIComponent(run)}`;
}

/** What those who run an aggregator ask of it, and what anybody may ask. Errors: those that the aggregator answers with. */
export class AdminApi {
  readonly #options: AdminOptions;

  constructor(options: AdminOptions) {
    this.#options = options;
  }

  aggregator(): Promise<AggregatorInfo> {
    return this.#ask('GET', '/v1/aggregator', aggregatorSchema);
  }

  async runs(): Promise<z.output<typeof runListSchema>['runs']> {
    return (await this.#ask('GET', '/v1/runs', runListSchema)).runs;
  }

  status(run: string): Promise<RunStatus> {
    return this.#ask('GET', runPath(run), runStatusSchema);
  }

  /** Not repeated by itself: a second attempt could find the name taken by the first. */
  createRun(request: CreateRunRequest): Promise<z.output<typeof createRunAnswerSchema>> {
    return this.#ask('POST', '/v1/admin/runs', createRunAnswerSchema, request, once);
  }

  async start(run: string): Promise<void> {
    await this.#ask('POST', `${adminPath(run)}/start`, doneSchema);
  }

  async stop(run: string): Promise<void> {
    await this.#ask('POST', `${adminPath(run)}/stop`, doneSchema);
  }

  invite(run: string, request: InviteRequest): Promise<z.output<typeof inviteAnswerSchema>> {
    return this.#ask('POST', `${adminPath(run)}/invitations`, inviteAnswerSchema, request);
  }

  /** Puts a key on the list of those that may join without an invitation. */
  async allow(run: string, group: string, publicKey: string): Promise<void> {
    await this.#ask('POST', `${adminPath(run)}/keys`, doneSchema, { group, publicKey });
  }

  async revoke(run: string, group: string): Promise<void> {
    await this.#ask('DELETE', `${adminPath(run)}/groups/${encodeURIComponent(group)}`, doneSchema);
  }

  async revokeKeeper(run: string, publicKey: string): Promise<void> {
    await this.#ask('DELETE', `${adminPath(run)}/keepers/${encodeURIComponent(publicKey)}`, doneSchema);
  }

  #ask<Schema extends z.ZodType>(
    method: Method,
    path: string,
    schema: Schema,
    content?: unknown,
    retry: Retry = this.#options.retry,
  ) {
    const { transport, adminKey } = this.#options;
    const headers = {
      ...(path.startsWith('/v1/admin/') && adminKey !== null ? { authorization: `Bearer ${adminKey}` } : {}),
      ...(content === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const body = Buffer.from(content === undefined ? '' : JSON.stringify(content), 'utf8');
    return retry(async () =>
      readAnswer(await transport({ method, path, headers, body }), schema, `${method} ${path}`),
    );
  }
}
