import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GroupHome } from '../../src/client/home.ts';
import { KeeperHome } from '../../src/client/sharding/keeper-home.ts';
import { type KeeperApi, KeeperService } from '../../src/client/sharding/keeper-service.ts';
import { parseConfig } from '../../src/config/config.ts';
import { roundsLayout } from '../../src/config/sharded-run.ts';
import { predictorOf } from '../../src/config/worker-setup.ts';
import { stagedLayout } from '../../src/predictor/staged/parameters.ts';
import { stagedParts } from '../../src/predictor/staged/parts.ts';
import { keyPairOf } from '../../src/privacy/secure-sum/key-agreement.ts';
import { Course } from '../../src/server/relay/course.ts';
import { Mailbox } from '../../src/server/relay/mailbox.ts';
import { RunRelay } from '../../src/server/relay/run-relay.ts';
import { readFrame, sealFrame } from '../../src/sharding/frames/sealed-frame.ts';
import { type Keeping, type Seat, type Seats, takeSeat } from '../../src/sharding/frames/seats.ts';
import { Keeper } from '../../src/sharding/keeper/keeper.ts';
import type { KeeperMemory } from '../../src/sharding/keeper/setup.ts';
import type { LocalShardedRun, LocalShardedSetup } from '../../src/sharding/local/run.ts';
import { Stage } from '../../src/sharding/parts/stage.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import { type Identity, identityOf } from '../../src/wire/identity.ts';
import type { RunDefinition } from '../../src/wire/run-definition.ts';
import type { FrameHeader } from '../../src/wire/shard-frame.ts';
import {
  type KeeperOrder,
  type KeeperStatus,
  keeperAnswerSchema,
  keeperOrderSchema,
  type Course as Published,
} from '../../src/wire/sharding.ts';
import { temporaryFolder } from '../support/cli.ts';
import { cutParameters, openTinyRun, participantOf, RUN } from '../support/sharded-run.ts';
import { FEATURE_WIDTH, keyOf, startOf, tinyStaged, tinyTasks } from '../support/sharding.ts';
import { adminInject, refusalIn, TestRun } from '../support/signed-inject.ts';
import { openTestAggregator, type TestAggregator, tinyPlan } from '../support/test-aggregator.ts';

// What an aggregator that lies, and one keeper, standby or group of many, can do to a deployed run of honest others.

const options = tinyStaged();
const { width } = options;
const { outer, stages } = cutParameters(options, startOf(options));
const RATES = [0.003];
const tasks = tinyTasks(3 * RATES.length);
const batchOf = (group: string, step: number) => tasks[3 * step + 'abc'.indexOf(group)]!;
const train = (run: LocalShardedRun, round: number) =>
  run.train({ round, attempt: 0, groups: ['a', 'b'], learningRates: RATES, outer, batchOf });

const closing: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((one) => one.close()));
});

async function open(changes: Partial<LocalShardedSetup> = {}): Promise<LocalShardedRun> {
  const run = await openTinyRun(options, stages, { standbys: [1, 1], ...changes });
  closing.push(run);
  return run;
}

describe('an aggregator that tells other seats than before', () => {
  /** A keeper that starts again from what it has on its disk. */
  async function again(name: string, index: number, seats: Seats, memory: KeeperMemory, of: LocalShardedRun) {
    const layout = stagedParts(stagedLayout(options, FEATURE_WIDTH), options).stages[index]!;
    const parameters = new Float32Array(layout.size);
    const stage = await Stage.open({ options, layout, parameters, optimizer: ADAM_DEFAULTS }, index);
    closing.push(stage);
    const { identity } = participantOf(of, name, options);
    const parts = {
      run: RUN,
      identity,
      seats,
      stage,
      width,
      frames: 'float32',
      most: { context: 64, target: 64 },
      leastGroups: 0,
    };
    return () => new Keeper({ ...parts, memory } as const as ConstructorParameters<typeof Keeper>[0]);
  }

  test('has no keeper that starts again seal its stage for a group or for another keeper', async () => {
    const run = await open();
    const memory = run.memory()[0]!;
    const { keepers, standbys, groups } = run.seats;
    // The same seats start it again.
    expect((await again('keeper 0', 0, run.seats, memory, run))().holds).toBe(true);
    // A group has a link with the first keeper: with this list it would stand by for the first stage.
    const group = {
      ...run.seats,
      groups: groups.slice(1),
      standbys: [...standbys, { stage: 0, seat: groups[0]! }],
    };
    expect(await again('keeper 0', 0, group, memory, run)).toThrow(
      expect.objectContaining({ code: 'STAGE_TAKEN' }),
    );
    // And so has who keeps the second stage, or stands by for it.
    const [one, ...rest] = standbys;
    const neighbour = { keepers, groups, standbys: [{ ...one!, stage: 0 }, ...rest] };
    expect(await again('keeper 0', 0, neighbour, memory, run)).toThrow(
      expect.objectContaining({ code: 'STAGE_TAKEN' }),
    );
  });
});

describe('who stands by', () => {
  test('tells nobody else who does what the stage is', async () => {
    const run = await open();
    await run.share();
    const [liar, other] = run.standbys as readonly [Keeper, Keeper];
    const before = other.memory();
    const keeping = run.seats.keepers.map(({ id }, index) =>
      index === 1 ? run.seats.standbys[0]!.seat.id : id,
    );
    await liar.appoint(keeping);
    const { id } = run.seats.standbys[1]!.seat;
    const frame = (await liar.share()).find((one) => readFrame(one).header.to === id)!;
    await expect(other.receive(frame)).rejects.toMatchObject({ code: 'FRAME_REFUSED' });
    expect(other.memory()).toEqual(before);
    // It is taken from who is known to keep the stage.
    await other.appoint(keeping);
    await other.receive(frame);
    expect(other.holds).toBe(true);
  });

  test('gives nothing up for a stage that does not open, of whatever epoch', async () => {
    const run = await open();
    await run.share();
    const [standby] = run.standbys as readonly [Keeper];
    const { identity } = participantOf(run, 'keeper 1', options);
    const [real] = await run.keepers[1]!.share();
    const { header } = readFrame(real!);
    const forged = (changes: Partial<FrameHeader>) => {
      const frame = { data: new Float64Array(header.rows * width), rows: header.rows, width };
      const link = { sealKey: () => new Uint8Array(32) } as never;
      return sealFrame(frame, { ...header, ...changes }, link, identity);
    };
    const before = standby.memory();
    for (const epoch of [0, 1, 1000]) {
      await expect(standby.receive(forged({ epoch }))).rejects.toMatchObject({ code: 'FRAME_REFUSED' });
      expect(standby.memory()).toEqual(before);
    }
    await expect(standby.receive(forged({ epoch: 1_000_000 }))).rejects.toMatchObject({
      code: 'ROUND_REFUSED',
    });
    for (const keeper of run.keepers) await keeper.turn();
    const [unsettled] = await run.keepers[1]!.share();
    await standby.receive(unsettled!);
    await expect(standby.receive(forged({ epoch: 0 }))).rejects.toMatchObject({ code: 'FRAME_REFUSED' });
    expect(standby.unsettled).toBe(true);
  });

  test('goes back to no earlier round that a relay hands over again', async () => {
    const told: Uint8Array[] = [];
    const run = await open({
      seen: (_, frame) => void (readFrame(frame).header.kind === 'memory' && told.push(frame)),
    });
    await train(run, 1);
    await run.share();
    const old = told.slice();
    await train(run, 2);
    await run.share();
    const [standby] = run.standbys as readonly [Keeper];
    const before = standby.memory();
    const { id } = run.seats.standbys[0]!.seat;
    const replayed = old.find((frame) => readFrame(frame).header.to === id)!;
    await expect(standby.receive(replayed)).rejects.toMatchObject({ code: 'FRAME_REFUSED' });
    expect(standby.memory()).toEqual(before);
  });
});

describe('the course of a run', () => {
  const PATIENCE_MS = 60;
  const names = ['keeper 0', 'keeper 1', 'keeper 2', 'stands by for 1', 'a', 'b', 'c'] as const;
  type Name = (typeof names)[number];
  const people = new Map(
    names.map((name) => [name, identityOf(Buffer.from(keyOf('course', name)).toString('hex'))]),
  );
  const idOf = (name: Name) => people.get(name)!.publicKey;
  const seatOf = (name: Name): Seat => ({ id: idOf(name), agreementKey: '', signature: '' });
  const seats: Seats = {
    keepers: (['keeper 0', 'keeper 1', 'keeper 2'] as const).map(seatOf),
    standbys: [{ stage: 1, seat: seatOf('stands by for 1') }],
    groups: (['a', 'b', 'c'] as const).map(seatOf),
  };

  /** Somebody who keeps no stage and does all that a keeper is seen to do, but for what `lie` makes of it. */
  class Pretender {
    readonly name: Name;
    readonly orders: KeeperOrder[] = [];
    readonly lie: (status: KeeperStatus, order: KeeperOrder | null) => KeeperStatus | null;
    #status: KeeperStatus;

    constructor(name: Name, lie: Pretender['lie'] = (status) => status) {
      this.name = name;
      this.lie = lie;
      this.#status = {
        ...{ session: '0'.repeat(32), epoch: 0, round: 0, attempt: Number.MAX_SAFE_INTEGER, done: false },
        ...{
          holds: true,
          strangers: [],
          unsettled: false,
          reached: null,
          verdict: null,
          answered: 0,
          failure: null,
        },
      };
    }

    async live(relay: RunRelay, signal: AbortSignal): Promise<void> {
      const say = (order: KeeperOrder | null) => {
        const status = this.lie(this.#status, order);
        if (status !== null)
          relay.take(idOf(this.name), { relay: relay.id, status, ready: null, frames: [] });
      };
      say(null);
      let query = { relay: relay.id, after: 0, course: 0, order: 0, newcomers: 0 };
      while (!signal.aborted) {
        const { last, order, course } = await relay.inbox(idOf(this.name), query, signal);
        const known = { course: course?.version ?? 0, order: order?.number ?? 0, newcomers: 0 };
        query = { relay: relay.id, after: last, ...known };
        if (order === null || order.number === this.#status.answered) continue;
        this.orders.push(order.order);
        this.#status = { ...this.#status, answered: order.number };
        if (order.order.kind === 'begin') {
          const { round, attempt } = order.order.order;
          this.#status = { ...this.#status, round, attempt, done: true };
        }
        say(order.order);
      }
    }
  }

  /** Lets a round be trained; what was published, and what went wrong. */
  async function trained(
    keepers: readonly Pretender[],
    until: (course: Published | null) => boolean,
    first: Keeping | null = null,
  ) {
    const stop = new AbortController();
    const clock = { now: () => performance.now() };
    const relay = new RunRelay(RUN, seats, clock);
    const troubles: string[] = [];
    const published: Published[] = [];
    const groups = (['a', 'b', 'c'] as const).map(idOf);
    const running = [
      ...keepers.map((one) => one.live(relay, stop.signal)),
      ...groups.map(async (id) => {
        relay.take(id, { relay: relay.id, status: null, ready: '1/1', frames: [] });
        while (!stop.signal.aborted) {
          const course = relay.course?.version ?? 0;
          await relay.inbox(id, { relay: relay.id, after: 0, course, order: 0, newcomers: 0 }, stop.signal);
        }
      }),
      Course.run({
        ...{ relay, clock, epochRounds: 5, patienceMs: PATIENCE_MS, signal: stop.signal },
        wanted: async () => ({ round: 1, opening: 1, groups, leastGroups: 1, learningRates: [0.1] }),
        store: {
          load: async () => (first === null ? null : { keeping: first, kept: 1 }),
          save: async () => undefined,
        },
        onTrouble: (message) => void troubles.push(message),
      }),
    ];
    const deadline = performance.now() + 20_000;
    while (!until(relay.course) && performance.now() < deadline) {
      await relay.change(50);
      if (relay.course !== null && relay.course !== published.at(-1)) published.push(relay.course);
    }
    stop.abort();
    relay.changed();
    await Promise.all(running);
    return { published, troubles, course: relay.course, reached: until(relay.course) };
  }
  const isComplete = (course: Published | null) => course?.training?.complete === true;
  const honest = (...some: readonly Name[]) => some.map((name) => new Pretender(name));

  test('trains a round with pretenders who do as they are told', async () => {
    const keepers = honest('keeper 0', 'keeper 1', 'keeper 2', 'stands by for 1');
    const { reached, troubles } = await trained(keepers, isComplete);
    expect({ reached, troubles }).toEqual({ reached: true, troubles: [] });
  });

  test('goes on without somebody who stands by, is there, and answers no order', async () => {
    const mute = new Pretender('stands by for 1', (status) => ({ ...status, answered: 0 }));
    const { reached } = await trained([...honest('keeper 0', 'keeper 1', 'keeper 2'), mute], isComplete);
    expect(mute.orders.length).toBeGreaterThan(0);
    expect(reached).toBe(true);
  });

  test('takes the one who stands by in place of a keeper that answers no order', async () => {
    const mute = new Pretender('keeper 1', (status) => ({ ...status, answered: 0 }));
    const others = honest('keeper 0', 'keeper 2', 'stands by for 1');
    const { reached, course } = await trained([...others, mute], isComplete);
    expect(reached).toBe(true);
    expect(course!.keeping[1]).toBe(idOf('stands by for 1'));
  });

  test.each([
    ['an epoch that nobody else is in', { epoch: 90_000 }],
    ['more rounds than the others could ever train', { round: 2 ** 31 - 1 }],
  ] as const)('is not moved by one keeper that says %s: who stands by takes over', async (_, lie) => {
    const liar = new Pretender('keeper 1', (status) => ({ ...status, ...lie }));
    const others = honest('keeper 0', 'keeper 2', 'stands by for 1');
    const { reached, published } = await trained([...others, liar], isComplete);
    expect(reached).toBe(true);
    // Groups and keepers cannot go back from an epoch or a round that they were told.
    expect(published.map(({ epoch }) => epoch)).toEqual(published.map(() => 0));
    for (const { orders } of others) {
      for (const order of orders) expect(() => keeperOrderSchema.parse(order)).not.toThrow();
      for (const order of orders) if (order.kind === 'begin') expect(order.order.round).toBe(1);
    }
  });

  test('has a keeper that was replaced in the middle of a morph take it back: its neighbours turned with another', async () => {
    let isSettled = false;
    const back = new Pretender('keeper 1', (status, order) => {
      isSettled ||= order?.kind === 'settle';
      return isSettled ? status : { ...status, epoch: 1, unsettled: true };
    });
    const [one, ...others] = (['keeper 0', 'keeper 2', 'stands by for 1'] as const).map(
      (name) => new Pretender(name, (status) => ({ ...status, epoch: 1 })),
    );
    const first = (['keeper 0', 'stands by for 1', 'keeper 2'] as const).map(idOf);
    const { reached, course } = await trained([back, one!, ...others], isComplete, first);
    expect(reached).toBe(true);
    expect(course!.keeping).toEqual(first);
    expect(back.orders.filter(({ kind }) => kind === 'settle')).toEqual([{ kind: 'settle', keep: false }]);
    // It is told of the stage before the round begins: once then, and once after the round.
    const kinds = one!.orders.map(({ kind }) => kind).filter((kind) => kind === 'keep' || kind === 'begin');
    expect(kinds.slice(0, 2)).toEqual(['keep', 'begin']);
  });

  test('orders no attempt that honest keepers cannot read, whatever one says of its attempts', async () => {
    const liar = new Pretender('keeper 1', (status) => ({
      ...status,
      round: 7,
      attempt: 2 ** 40,
      done: false,
    }));
    const others = honest('keeper 0', 'keeper 2');
    const begun = () => others.some(({ orders }) => orders.some(({ kind }) => kind === 'begin'));
    await trained([...others, liar], begun);
    expect(begun()).toBe(true);
    for (const { orders } of others) {
      for (const order of orders) expect(() => keeperOrderSchema.parse(order)).not.toThrow();
    }
  });

  test('leaves a group out that is ready, there, and silent', async () => {
    const clock = { now: () => now };
    let now = 0;
    const relay = new RunRelay(RUN, seats, clock);
    const place = { round: 1, attempt: 0 };
    const groups = (['a', 'b', 'c'] as const).map(idOf);
    const training = { round: 1, opening: 1, place, groups, complete: false };
    relay.publish({ epoch: 0, keeping: seats.keepers.map(({ id }) => id), training });
    const link = { sealKey: () => new Uint8Array(32) } as never;
    const put = (from: Name, group: Name, changes: Partial<FrameHeader>) => {
      const header: FrameHeader = {
        ...{ run: RUN, kind: 'forward', epoch: 0, ...place, step: 0, boundary: 1, group: idOf(group) },
        ...{
          from: idOf(from),
          to: idOf('keeper 1'),
          type: 'float32',
          rows: 1,
          width: 1,
          context: 1,
          target: 1,
        },
        ...{ sequence: 0, ...changes },
      };
      const frame = sealFrame(
        { data: Float32Array.of(0), rows: 1, width: 1 },
        header,
        link,
        people.get(from)!,
      );
      relay.take(idOf(from), { relay: relay.id, status: null, ready: null, frames: [new Uint8Array(frame)] });
    };
    for (const group of ['a', 'b'] as const) put('keeper 0', group, {});
    // What it says of itself does not count.
    put('c', 'c', { step: 5, boundary: 0, to: idOf('keeper 0') });
    expect(relay.waitedFor(groups, 1000)).toEqual([]);
    now = 1000;
    expect(relay.waitedFor(groups, 1000)).toEqual([idOf('c')]);
    put('keeper 0', 'c', {});
    now = 5000;
    // Where all are equally far, it is no group's fault.
    expect(relay.waitedFor(groups, 1000)).toEqual([]);
  });
});

describe('a mailbox', () => {
  test('that one sender floods has room for the others', () => {
    const mailbox = new Mailbox();
    const flood = (frame: Uint8Array<ArrayBuffer>) => {
      let count = 0;
      try {
        for (; count < 10_000; count++) mailbox.put(frame, 'flooder');
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: 'RATE_LIMITED' });
      }
      return count;
    };
    expect(flood(new Uint8Array(1))).toBeLessThan(10_000);
    mailbox.put(new Uint8Array(2), 'somebody else');
    const { frames, last } = mailbox.after(0, 1e9);
    expect(frames.at(-1)).toEqual(new Uint8Array(2));
    // What was fetched makes room again, by bytes as well.
    mailbox.after(last, 1e9);
    expect(mailbox.after(0, 1).frames).toEqual([]);
    const large = new Uint8Array(2 ** 24);
    expect(flood(large)).toBe(2);
    mailbox.put(large, 'somebody else');
  });
});

describe('a participant of a deployed run', () => {
  let aggregator: TestAggregator;
  let run: TestRun;
  const config = {
    ...tinyPlan().config,
    predictor: {
      name: 'staged',
      stages: 3,
      layersPerStage: 1,
      width: 2,
      heads: 1,
      feedforward: 2,
      embedderLayers: 2,
    },
    sharding: {},
  };
  const secretOf = (name: string) => keyOf('deployed', name);
  const identityNamed = (name: string) => identityOf(Buffer.from(secretOf(name)).toString('hex'));
  const keysOf = (name: string) => keyPairOf(secretOf(`${name} agrees`));

  beforeEach(async () => {
    const parsed = parseConfig(config);
    const { layout } = predictorOf(parsed, { featureWidth: 2, rows: 0 });
    aggregator = await openTestAggregator();
    closing.push(aggregator);
    const parameters = roundsLayout(parsed, layout).size;
    run = await TestRun.create(aggregator, { plan: tinyPlan({ config, parameters }) });
  });

  async function invited(role: 'keeper' | 'group'): Promise<string> {
    const path = `/v1/admin/runs/${run.run}/invitations`;
    const body = { group: null, count: 1, expiresInMs: 60_000, role };
    const { tokens } = (await adminInject(aggregator, { method: 'POST', path, body })).json();
    return tokens[0];
  }

  async function joined(name: string, role: 'keeper' | 'group'): Promise<Identity> {
    const identity = identityNamed(name);
    const to = role === 'keeper' ? '/keepers' : '/groups';
    const asked = { token: await invited(role), ...(role === 'keeper' ? {} : { group: name }) };
    const { statusCode } = await run.send({ identity }, { method: 'POST', path: run.path(to), body: asked });
    expect(statusCode).toBe(200);
    return identity;
  }

  const seat = (identity: Identity, agreementKey: string) => {
    const { signature } = takeSeat(run.digest, identity, agreementKey);
    return run.send(
      { identity },
      { method: 'POST', path: run.path('/seat'), body: { agreementKey, signature } },
    );
  };

  test('ends no run by an agreement key that is none, or that of somebody else', async () => {
    const [keeper, group, twin] = [
      await joined('k', 'keeper'),
      await joined('g', 'group'),
      await joined('h', 'group'),
    ];
    expect((await seat(keeper, keysOf('k').publicKey)).statusCode).toBe(200);
    for (const none of ['0'.repeat(64), `01${'0'.repeat(62)}`]) {
      expect(refusalIn(await seat(group, none)).code).toBe('REQUEST_MALFORMED');
    }
    expect(refusalIn(await seat(group, keysOf('k').publicKey)).code).toBe('STAGE_TAKEN');
    expect((await seat(group, keysOf('g').publicKey)).statusCode).toBe(200);
    expect(refusalIn(await seat(twin, keysOf('g').publicKey)).code).toBe('STAGE_TAKEN');
    // The same again is no other seat.
    expect((await seat(group, keysOf('g').publicKey)).statusCode).toBe(200);
  });

  test('of whom too many stand by is refused a seat, and no keeper tells more of its stage than the run has', async () => {
    const homes = ['k0', 'k1', 'k2'].map((name) => {
      const home = new KeeperHome(join(temporaryFolder(), name));
      home.create();
      return home;
    });
    let definition: RunDefinition | null = null;
    for (const home of homes) {
      const asked = { token: await invited('keeper') };
      const call = { method: 'POST', path: run.path('/keepers'), body: asked } as const;
      definition = keeperAnswerSchema.parse(
        (await run.send({ identity: home.identity() }, call)).json(),
      ).definition;
    }
    const seatsOfAll = homes.map((home) => {
      const secret = Buffer.from(home.seatSecrets().agreement, 'hex');
      return takeSeat(run.digest, home.identity(), keyPairOf(secret).publicKey);
    });
    for (const [index, { agreementKey }] of seatsOfAll.entries()) {
      expect((await seat(homes[index]!.identity(), agreementKey)).statusCode).toBe(200);
    }
    const more = await joined('one more', 'keeper');
    expect(refusalIn(await seat(more, keysOf('one more').publicKey)).code).toBe('RUN_FULL');

    // An aggregator that lies may give it one all the same.
    const [home] = homes as [KeeperHome];
    const aggregatorKey = aggregator.aggregator.identity.publicKey;
    const place = { format: 1, url: 'http://127.0.0.1:1', run: run.run, aggregatorKey, ca: null } as const;
    home.saveMembership({ ...place, definition: definition!, stage: 0, standby: false, keepers: null });
    const sybil = takeSeat(run.digest, more, keysOf('one more').publicKey);
    const seats: Seats = { keepers: seatsOfAll, standbys: [{ stage: 0, seat: sybil }], groups: [] };
    const never = () => new Promise<never>(() => undefined);
    const api: KeeperApi = {
      ...{ seats: async () => ({ seats, newcomers: [] }), relay: never, inbox: never },
      ...{ leaveDeposit: never, deposit: never },
    };
    const { signal } = new AbortController();
    const serving = KeeperService.serve({ api, home, signal, emit: () => undefined });
    await expect(serving).rejects.toMatchObject({ code: 'STAGE_TAKEN' });
    expect(home.hasStage).toBe(false);
  });

  test('without a key, or before it joined, is told nothing', async () => {
    const stranger = identityNamed('stranger');
    for (const rest of ['/seats', '/inbox?relay=&after=0&course=0&order=0&newcomers=0']) {
      expect((await aggregator.app.inject({ method: 'GET', url: run.path(rest) })).statusCode).toBe(401);
      const asked = await run.send({ identity: stranger }, { method: 'GET', path: run.path(rest) });
      expect(refusalIn(asked).code).toBe('KEY_UNKNOWN');
    }
    expect(refusalIn(await seat(stranger, keysOf('stranger').publicKey)).code).toBe('KEY_UNKNOWN');
  });

  test('keeps few requests at the relay at once, and lets others in', async () => {
    const names = ['k0', 'k1', 'k2'];
    for (const name of names) await seat(await joined(name, 'keeper'), keysOf(name).publicKey);
    const [one, two] = [await joined('g', 'group'), await joined('h', 'group')];
    for (const [name, identity] of [
      ['g', one],
      ['h', two],
    ] as const)
      await seat(identity, keysOf(name).publicKey);
    const relay = (await aggregator.services.relays.of(run.run))!;
    const ask = (identity: Identity) => {
      const known = `course=${relay.course?.version ?? 0}&order=0&newcomers=0`;
      const path = run.path(`/inbox?relay=${relay.id}&after=0&${known}`);
      return run.send({ identity }, { method: 'GET', path });
    };
    const codes: (string | null)[] = [];
    const asked = Array.from({ length: 10 }, async () => codes.push(refusalIn(await ask(one)).code));
    while (codes.length < 6) await wait(5);
    expect(codes).toEqual(Array.from({ length: 6 }, () => 'RATE_LIMITED'));
    const other = ask(two);
    relay.publish({ epoch: 0, keeping: [...relay.first], training: null });
    await Promise.all(asked);
    expect(codes.slice(6)).toEqual([null, null, null, null]);
    expect((await other).statusCode).toBe(200);
    // Those that were answered count no more.
    expect(
      (
        await run.send(
          { identity: one },
          { method: 'GET', path: run.path('/inbox?relay=&after=0&course=0&order=0&newcomers=0') },
        )
      ).statusCode,
    ).toBe(200);
  });
});

describe('whoever finds the folder of a process that was killed', () => {
  const links = { bound: '0'.repeat(64), epoch: 0, secrets: [['a'.repeat(64), new Uint8Array(32)]] } as const;
  const doubles = () => Float64Array.of(1);
  const memory: KeeperMemory = {
    stage: { masters: doubles(), first: doubles(), second: doubles(), steps: 1 },
    links,
    place: { round: 0, attempt: 0 },
    keeping: [],
    holds: true,
    introductions: { newcomers: [], asked: [], given: [], heard: [], vouched: [] },
  };

  test('finds no half-written stage, and no secret that its links came of, once the keeper was started again', () => {
    const folder = temporaryFolder();
    const home = new KeeperHome(join(folder, 'keeper'));
    home.create();
    home.seatSecrets();
    const seat = readFileSync(join(home.folder, 'seat.json'));
    home.save({ memory, turned: false });
    const kept = readdirSync(home.folder);
    // Killed after the stage was stored and before the secret was forgotten, and while another stage was written.
    writeFileSync(join(home.folder, 'seat.json'), seat);
    writeFileSync(join(home.folder, 'stage.bin.1234.tmp'), 'a stage of another epoch');
    const release = home.lock();
    expect(home.load()).not.toBeNull();
    release();
    expect(readdirSync(home.folder).sort()).toEqual(kept.sort());
  });

  test('finds no secret that its links came of, once the group was started again', () => {
    const home = new GroupHome(join(temporaryFolder(), 'group'));
    home.createWithoutAnswers();
    home.links.seatSecret();
    const seat = readFileSync(join(home.folder, 'seat.json'));
    home.links.saveLinks({ links, introductions: memory.introductions });
    writeFileSync(join(home.folder, 'seat.json'), seat);
    writeFileSync(join(home.folder, 'links.bin.1234.tmp'), 'links of another epoch');
    home.lock()();
    // As whoever opens its links does.
    home.links.saveLinks(home.links.loadLinks()!);
    const files = readdirSync(home.folder);
    expect(files.filter((name) => name.startsWith('seat') || name.endsWith('.tmp'))).toEqual([]);
  });
});
