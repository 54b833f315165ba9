import { randomBytes } from 'node:crypto';
import type { AggregatorApi } from '../../src/client/api.ts';
import { once } from '../../src/client/retry.ts';
import { upload } from '../../src/client/transfer.ts';
import { float32From } from '../../src/core/bytes.ts';
import { asPluralError } from '../../src/core/errors.ts';
import { freshSecret, type Identity, identityOf } from '../../src/wire/identity.ts';
import type { RunPlan } from '../../src/wire/run-definition.ts';
import { signRequest } from '../../src/wire/signed-request.ts';
import type { Replicas } from './replicas.ts';
import { encodedUpdate, type SubmissionChange } from './signed-inject.ts';
import { tinyPlan } from './test-aggregator.ts';

/** A group that has joined; it trains nothing and asks whatever replica it is told to. */
export interface Member {
  readonly group: string;
  readonly identity: Identity;
}

/** What a replica answered to a submission: whether it was there before, or the code of the refusal. */
export type Answer = 'new' | 'repeated' | string;

/** A run with made-up updates, to ask several replicas at once. */
export class ReplicatedRun {
  readonly replicas: Replicas;
  readonly run: string;
  readonly #digest: string;
  readonly #plan: RunPlan;

  private constructor(replicas: Replicas, run: string, digest: string, plan: RunPlan) {
    this.replicas = replicas;
    this.run = run;
    this.#digest = digest;
    this.#plan = plan;
  }

  static async create(replicas: Replicas, rounds: number, change: Partial<RunPlan> = {}) {
    const plan = tinyPlan(change, rounds);
    const { run, digest } = await replicas.admin().createRun({ name: 'tiny', plan });
    return new ReplicatedRun(replicas, run, digest, plan);
  }

  /** The interface of one replica for a member. */
  at(replica: number, { identity }: Pick<Member, 'identity'>): AggregatorApi {
    return this.replicas.api(this.replicas.all[replica]!.url, identity, this.run);
  }

  async join(group: string, replica = 0): Promise<Member> {
    const member = { group, identity: identityOf(freshSecret()) };
    const { tokens } = await this.replicas.admin().invite(this.run, { group, count: 1, expiresInMs: 60_000 });
    await this.at(replica, member).join({ group, token: tokens[0]! });
    return member;
  }

  /** Uploads an update that fits what is asked now; where to submit it. */
  async uploaded(member: Member, change: SubmissionChange = {}, replica = 0) {
    const api = this.at(replica, member);
    const { round, step, model } = await api.task();
    const { parameters } = this.#plan;
    const { group } = member;
    const content = { group, round, run: this.#digest, model: model.model, parameters, ...change };
    const digest = await upload({ api, retry: once }, encodedUpdate(content).bytes);
    return { round, step, digest };
  }

  async submit(
    replica: number,
    member: Member,
    claim: { readonly round: number; readonly step: number; readonly digest: string },
  ): Promise<Answer> {
    try {
      const { repeated } = await this.at(replica, member).submit(claim, claim.digest);
      return repeated ? 'repeated' : 'new';
    } catch (thrown) {
      return asPluralError(thrown).code;
    }
  }

  /** Parameters of a round's model. */
  async parameters(member: Member, round: number): Promise<Float32Array> {
    const bytes = await this.at(0, member).parametersPart(round, 0, 4 * this.#plan.parameters);
    return float32From(bytes);
  }

  status() {
    return this.replicas.admin().status(this.run);
  }

  /** One signed request, as it is, to each of some replicas at once; status and text of the answers. */
  async sameSigned(member: Member, replicas: readonly number[]): Promise<{ status: number; text: string }[]> {
    const path = `/v1/runs/${this.run}/task`;
    const nonce = randomBytes(16).toString('hex');
    const content = { method: 'GET', path, body: new Uint8Array() };
    const said = { audience: this.replicas.publicKey, timeMs: Date.now(), nonce };
    const headers = signRequest(member.identity, content, said);
    return Promise.all(
      replicas.map(async (replica) => {
        const answer = await fetch(`${this.replicas.all[replica]!.url}${path}`, { headers });
        return { status: answer.status, text: await answer.text() };
      }),
    );
  }
}

export interface Told {
  readonly id: number;
  readonly type: string;
}

/** What one replica tells of a run from an event on, until an event of a type came. */
export async function toldBy(
  url: string,
  run: string,
  { after, until }: { readonly after: number | null; readonly until: string },
): Promise<Told[]> {
  const over = new AbortController();
  const headers = after === null ? {} : { 'last-event-id': `${after}` };
  const answer = await fetch(`${url}/v1/runs/${run}/events`, { headers, signal: over.signal });
  let text = '';
  for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (new RegExp(`^event: ${until}\ndata: .*\n\n`, 'm').test(text)) break;
  }
  over.abort();
  return [...text.matchAll(/^id: (\d+)\nevent: (.*)$/gm)].map(([, id, type]) => ({
    id: Number(id),
    type: type!,
  }));
}
