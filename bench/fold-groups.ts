import { AggregatorApi } from '../src/client/api.ts';
import { retryWith } from '../src/client/retry.ts';
import { upload } from '../src/client/transfer.ts';
import type { Transport } from '../src/client/transport.ts';
import type { Task } from '../src/wire/http.ts';
import { freshSecret, identityOf } from '../src/wire/identity.ts';
import type { Submission } from '../src/wire/stages.ts';
import { encodeSubmission } from '../src/wire/submission.ts';
import { inClear } from '../test/support/in-clear.ts';
import { updateOf as clearUpdateOf } from '../test/support/protected-round.ts';

/** One group of the crowd, with a key of its own. */
export interface CrowdGroup {
  readonly group: string;
  readonly api: AggregatorApi;
}

export interface Crowd {
  readonly groups: readonly CrowdGroup[];
  /** Digest of the run's definition. */
  readonly run: string;
  readonly parameters: number;
}

/** Trouble that passes is waited out for so long. */
const PATIENCE_MS = 60_000;
const JOINS_AT_ONCE = 20;
const retry = retryWith({ patienceMs: PATIENCE_MS });

/** Groups with fresh keys; each joins with an invitation of its own. */
export async function joinAll(options: {
  readonly transport: Transport;
  readonly aggregatorKey: string;
  readonly run: string;
  readonly tokens: readonly string[];
}): Promise<Crowd> {
  const { transport, aggregatorKey, run, tokens } = options;
  const joining = tokens.map((token, index) => ({ token, group: `group-${String(index).padStart(4, '0')}` }));
  let digest = '';
  let parameters = 0;
  const groups: CrowdGroup[] = [];
  await inParallel(joining, JOINS_AT_ONCE, async ({ group, token }) => {
    const identity = identityOf(freshSecret());
    const api = new AggregatorApi({ transport, identity, aggregatorKey, run, retry });
    const answer = await api.join({ group, token });
    digest = answer.digest;
    parameters = answer.definition.plan.parameters;
    groups.push({ group, api });
  });
  return { groups, run: digest, parameters };
}

/** Works through the items, so many at a time. */
export async function inParallel<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = items[Symbol.iterator]();
  const worker = async () => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Numbers of the size of a round of training. */
export function someDelta(parameters: number): Float32Array {
  return Float32Array.from({ length: parameters }, (_, index) => 0.001 * Math.sin(index));
}

/** A group's update as bytes: like the others but for its name, its weight and one number. */
export function updateOf(
  delta: Float32Array,
  group: string,
  origin: { readonly round: number; readonly run: string; readonly model: string },
): Submission {
  const number = Number(group.replaceAll(/\D/g, ''));
  const { round, run, model } = origin;
  delta[number % delta.length] = 0.001 * number;
  const update = clearUpdateOf(group, 10 + (number % 90), delta, { round });
  return encodeSubmission(inClear(update), { run, step: 0, model });
}

/** One group's part of a round, as `group round` does it: looks at its task, uploads in chunks, submits. */
async function takePart({ group, api }: CrowdGroup, crowd: Crowd, delta: Float32Array): Promise<void> {
  const { round, step, model }: Task = await api.task();
  const { bytes } = updateOf(delta, group, { round, run: crowd.run, model: model.model });
  const digest = await upload({ api, retry }, bytes);
  await api.submit({ round, step }, digest);
}

/** All groups upload and submit, `atOnce` at a time; what went wrong for whom. */
export async function uploadAll(
  crowd: Crowd,
  groups: readonly CrowdGroup[],
  atOnce: number,
): Promise<string[]> {
  const delta = someDelta(crowd.parameters);
  const failures: string[] = [];
  await inParallel(groups, atOnce, async (member) => {
    try {
      await takePart(member, crowd, delta);
    } catch (thrown) {
      failures.push(`${member.group}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  });
  return failures;
}
