import { setTimeout as pause } from 'node:timers/promises';
import { AggregatorApi } from '../../src/client/api.ts';
import type { GroupEvent } from '../../src/client/group-events.ts';
import type { LocalWork } from '../../src/client/local-training.ts';
import { Participant, type RoundOutcome } from '../../src/client/participate.ts';
import { retryWith } from '../../src/client/retry.ts';
import type { Transport } from '../../src/client/transport.ts';
import { randomStream } from '../../src/core/random.ts';
import type { GroupSetup, Protection } from '../../src/privacy/protection.ts';
import { invite } from '../../src/server/invitations.ts';
import { createRun, definitionOf, planOf } from '../../src/server/runs.ts';
import { statusOf } from '../../src/server/status.ts';
import { makeUpdate } from '../../src/training/make-update.ts';
import type { RunStatus } from '../../src/wire/http.ts';
import type { RunDefinition, RunPlan } from '../../src/wire/run-definition.ts';
import type { Model, Update } from '../../src/wire/stages.ts';
import { identityOfFake, MemoryStore } from '../client/fake-group.ts';
import type { TestAggregator } from './test-aggregator.ts';

/** Changes what a group answers. */
export type Lie = (
  group: string,
  round: number,
  step: number,
  answer: Uint8Array,
  setup: GroupSetup,
) => Uint8Array;

function lyingIn(protection: Protection, lie: Lie): Protection {
  const join = (setup: GroupSetup) => {
    const part = protection.join(setup);
    const answer = (step: number, update: Update | null) =>
      lie(setup.group, setup.context.round, step, part.answer(step, update), setup);
    return { answer };
  };
  return { ...protection, join };
}

/** The update of a group that trains on nothing: a function of group, round and parameters. */
export function fakeUpdate(group: string, round: number, model: Model, score: number | null): Update {
  const { digest, parameters: received } = model;
  const random = randomStream(round, 'update', group, digest);
  const trained = received.map((value) => value + random.normal() / 100);
  return makeUpdate({ group, round, weight: 1, received, trained, score, rows: null });
}

/** A run on the real server in this process, whose groups are real clients with stand-ins for training. */
export interface GroupsRun {
  readonly run: string;
  readonly definition: RunDefinition;
  /** How each group's part in the run ended. */
  readonly outcomes: Promise<RoundOutcome[]>;
  readonly stores: ReadonlyMap<string, MemoryStore>;
  /** What happened on each group's side. */
  readonly events: ReadonlyMap<string, readonly GroupEvent[]>;
  /** The models that each group scored, which are all that it had. */
  readonly models: ReadonlyMap<string, ReadonlyMap<number, Float32Array>>;
  /** Asks how the run stands until something holds. */
  until(reached: (status: RunStatus) => boolean): Promise<RunStatus>;
  /** Takes part again as a member of the run, after it left it. */
  joinAgain(group: string): Promise<void>;
  /** A process of a group, beside those that are at work. */
  start(group: string): Participant;
}

export interface GroupsOptions {
  readonly server: TestAggregator;
  readonly groups: readonly string[];
  readonly plan: RunPlan;
  readonly now?: () => number;
  readonly lie?: Lie;
  /** Whether what a group submits does not come through at this time. */
  readonly holds?: (group: string, place: { readonly round: number; readonly step: number }) => boolean;
  /** Groups that join and do not look what is asked. */
  readonly away?: readonly string[];
  readonly readersKeyOf?: (group: string) => Uint8Array | null;
  /** Told every request and answer, as it is on the way. */
  readonly wire?: (group: string, bytes: Uint8Array) => void;
  /** May change what a group gets. */
  readonly tamper?: (group: string, path: string, body: Uint8Array) => Uint8Array;
}

/** A run that all groups have joined before the first of them looks what is asked. */
export async function groupsRun(options: GroupsOptions): Promise<GroupsRun> {
  const { server, groups, plan, now = Date.now, lie, holds = () => false, away = [] } = options;
  const { readersKeyOf = () => null, wire = () => undefined, tamper = (_, __, body) => body } = options;
  const { aggregator, services, app } = server;
  const { run } = await createRun(aggregator, { name: 'groups', plan });
  const { definition } = await definitionOf(aggregator, run);
  const { protection: plain, strategy } = await planOf(aggregator, services.plans, run);
  const protection = lie === undefined ? plain : lyingIn(plain, lie);
  const { tokens } = await invite(aggregator, run, {
    group: null,
    count: groups.length,
    expiresInMs: 60_000,
  });
  const aggregatorKey = aggregator.identity.publicKey;
  const sleep = () => pause(20);
  const retry = retryWith({ patienceMs: Number.POSITIVE_INFINITY, sleep, random: () => 0 });
  const transportOf =
    (group: string): Transport =>
    async ({ method, path, headers, body }) => {
      if (path.endsWith('/submissions')) {
        const place = JSON.parse(Buffer.from(body).toString('utf8'));
        while (holds(group, place)) await sleep();
      }
      wire(group, body);
      const payload = body.byteLength === 0 ? {} : { payload: Buffer.from(body) };
      const answer = await app.inject({ method: method as 'GET', url: path, headers, ...payload });
      wire(group, answer.rawPayload);
      const named = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
      const content = tamper(group, path, answer.rawPayload);
      return { status: answer.statusCode, headers: Object.fromEntries(named), body: content };
    };
  const apis = new Map(
    groups.map((group) => {
      const identity = identityOfFake(group);
      const common = { transport: transportOf(group), identity, aggregatorKey, run, retry };
      return [group, new AggregatorApi({ ...common, clock: { now } })];
    }),
  );
  const join = async (group: string) => {
    await apis.get(group)!.join({ group, token: tokens[groups.indexOf(group)]! });
  };
  for (const group of groups) await join(group);
  const stores = new Map(groups.map((group) => [group, new MemoryStore(group)]));
  const events = new Map<string, GroupEvent[]>(groups.map((group) => [group, []]));
  const models = new Map(groups.map((group) => [group, new Map<number, Float32Array>()]));
  const workOf = (group: string): LocalWork => ({
    protection,
    strategy,
    update: async ({ round }, model, score) => ({ update: fakeUpdate(group, round, model, score), loss: 1 }),
    score: async ({ round, parameters }) => {
      models.get(group)!.set(round, parameters);
      return { alignment: 0.5, questions: 7 };
    },
    exportModel: ({ parameters }) => new Uint8Array(parameters.buffer),
    close: async () => undefined,
  });
  const start = (group: string) =>
    new Participant({
      api: apis.get(group)!,
      retry,
      store: stores.get(group)!,
      work: workOf(group),
      definition,
      aggregatorKey,
      group,
      identity: identityOfFake(group),
      tellScores: true,
      leastGroups: 1,
      knownPeers: null,
      readersKey: readersKeyOf(group),
      emit: (event) => void events.get(group)!.push(event),
      sleep,
    });
  const present = groups.filter((group) => !away.includes(group));
  const outcomes = Promise.all(present.map((group) => start(group).watch()));
  const until: GroupsRun['until'] = async (reached) => {
    for (;;) {
      const status = await statusOf(aggregator, run);
      if (reached(status)) return status;
      // A group that gives up must not be waited for.
      await Promise.race([outcomes, pause(50)]);
    }
  };
  return { run, definition, outcomes, stores, events, models, joinAgain: join, until, start };
}
