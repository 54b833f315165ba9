import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/config.ts';
import { roundsLayout } from '../../src/config/sharded-run.ts';
import { predictorOf } from '../../src/config/worker-setup.ts';
import { keyPairOf } from '../../src/privacy/secure-sum/key-agreement.ts';
import { revokeKeeper } from '../../src/server/keepers.ts';
import { Mailbox } from '../../src/server/relay/mailbox.ts';
import { takeSeat } from '../../src/sharding/frames/seats.ts';
import { encodeCbor, readCbor } from '../../src/wire/cbor.ts';
import type { Identity } from '../../src/wire/identity.ts';
import { inboxSchema, type Relayed } from '../../src/wire/sharding.ts';
import { adminInject, refusalIn, type TestGroup, TestRun } from '../support/signed-inject.ts';
import {
  freshIdentity,
  openTestAggregator,
  type TestAggregator,
  tinyPlan,
} from '../support/test-aggregator.ts';

// Who gets which seat of a sharded run, when it begins, and whom its relay serves.

let aggregator: TestAggregator;
beforeAll(async () => {
  aggregator = await openTestAggregator();
});
afterAll(() => aggregator.close());

function shardedPlan(standbys = 0) {
  const { config } = tinyPlan();
  const sharded = {
    ...config,
    predictor: {
      name: 'staged',
      stages: 3,
      layersPerStage: 1,
      width: 4,
      heads: 1,
      feedforward: 4,
      embedderLayers: 2,
    },
    sharding: { standbys, lateKeepers: 1, lateGroups: 1 },
  };
  const parsed = parseConfig(sharded);
  const { layout } = predictorOf(parsed, { featureWidth: 2, rows: 0 });
  return tinyPlan({ config: sharded, parameters: roundsLayout(parsed, layout).size });
}

/** Somebody with a key of a run. */
interface Person {
  readonly identity: Identity;
  readonly keys: ReturnType<typeof keyPairOf>;
}

let secrets = 0;
const person = (): Person => ({
  identity: freshIdentity(),
  keys: keyPairOf(new Uint8Array(32).fill(++secrets)),
});

class ShardedTestRun {
  readonly run: TestRun;

  constructor(run: TestRun) {
    this.run = run;
  }

  static async create(standbys = 0): Promise<ShardedTestRun> {
    return new ShardedTestRun(
      await TestRun.create(aggregator, { name: 'sharded', plan: shardedPlan(standbys) }),
    );
  }

  async token(role: 'keeper' | 'group'): Promise<string> {
    const path = `/v1/admin/runs/${this.run.run}/invitations`;
    const made = await adminInject(aggregator, {
      method: 'POST',
      path,
      body: { group: null, count: 1, expiresInMs: 60_000, role },
    });
    return made.json().tokens[0];
  }

  post({ identity }: Pick<Person, 'identity'>, rest: string, body: unknown) {
    return this.run.send({ identity }, { method: 'POST', path: this.run.path(rest), body });
  }

  get({ identity }: Pick<Person, 'identity'>, rest: string) {
    return this.run.send({ identity }, { method: 'GET', path: this.run.path(rest) });
  }

  seat({ identity, keys }: Person, run = this.run.digest) {
    const { agreementKey, signature } = takeSeat(run, identity, keys.publicKey);
    return this.post({ identity }, '/seat', { agreementKey, signature });
  }

  async keeper(one = person()) {
    const joined = await this.post(one, '/keepers', { token: await this.token('keeper') });
    expect(refusalIn(joined)).toEqual({ status: 200, code: null });
    return { one, seat: await this.seat(one) };
  }

  async group(name: string): Promise<Person> {
    const one = person();
    await this.run.join(name, one.identity);
    expect(refusalIn(await this.seat(one)).status).toBe(200);
    return one;
  }

  async phase(): Promise<string> {
    return (await this.run.status()).phase;
  }
}

describe('seats of a sharded run', () => {
  test('are given to the stage that fewest keep; the run begins when all that it waits for are there', async () => {
    const run = await ShardedTestRun.create(1);
    const [ann, ben] = [await run.group('ann'), await run.group('ben')];
    expect((await run.run.status()).summary).toContain('0 of 4 keepers');
    const seats = [];
    for (let index = 0; index < 4; index++) {
      expect(await run.phase()).toBe('waiting');
      const { seat } = await run.keeper();
      seats.push(seat.json());
    }
    expect(seats).toEqual([
      { stage: 0, standby: false },
      { stage: 1, standby: false },
      { stage: 2, standby: false },
      { stage: 0, standby: true },
    ]);
    expect(await run.phase()).toBe('collecting');
    const all = (await run.get(ann, '/seats')).json();
    expect(all.seats.keepers).toHaveLength(3);
    expect(all.seats.standbys).toMatchObject([{ stage: 0 }]);
    expect(all.seats.groups.map(({ id }: { id: string }) => id)).toEqual(
      [ann, ben].map(({ identity }) => identity.publicKey),
    );
    expect((await run.run.status()).keepers.map(({ stage, keeps }) => [stage, keeps])).toEqual([
      [0, true],
      [0, false],
      [1, true],
      [2, true],
    ]);
  });

  test('go to as many as the definition allows after that, a keeper to the stage that somebody left, and are told in the order in which they were taken', async () => {
    const run = await ShardedTestRun.create();
    const ann = await run.group('ann');
    await run.group('ben');
    const keepers = [await run.keeper(), await run.keeper(), await run.keeper()];
    expect(await run.phase()).toBe('collecting');
    const before = (await run.get(ann, '/seats')).json();
    expect(before.newcomers).toEqual([]);
    await revokeKeeper(aggregator.aggregator, run.run.run, keepers[1]!.one.identity.publicKey);
    const cem = await run.group('cem');
    const late = await run.keeper();
    expect(late.seat.json()).toEqual({ stage: 1, standby: true });
    const after = (await run.get(ann, '/seats')).json();
    expect(after.seats).toEqual(before.seats);
    expect(after.newcomers).toMatchObject([
      { stage: null, seat: { id: cem.identity.publicKey } },
      { stage: 1, seat: { id: late.one.identity.publicKey } },
    ]);
    // The same seat again changes nothing; more are not taken.
    expect((await run.seat(cem)).statusCode).toBe(200);
    expect(refusalIn((await run.keeper()).seat)).toEqual({ status: 409, code: 'RUN_FULL' });
    const dan = person();
    await run.run.join('dan', dan.identity);
    expect(refusalIn(await run.seat(dan))).toEqual({ status: 409, code: 'RUN_FULL' });
    expect((await run.run.status()).members.map(({ group }) => group)).toEqual(['ann', 'ben', 'cem']);
    expect((await run.get(ann, '/seats')).json()).toEqual(after);
  });

  test('are one to a key, which is a keeper or a group, and is signed for this run', async () => {
    const run = await ShardedTestRun.create();
    const { one, seat } = await run.keeper();
    expect(seat.json()).toEqual({ stage: 0, standby: false });
    expect((await run.seat(one)).json()).toEqual({ stage: 0, standby: false });
    const other = { ...one, keys: person().keys };
    expect(refusalIn(await run.seat(other))).toEqual({ status: 409, code: 'STAGE_TAKEN' });
    const body = { group: 'ann', token: await run.run.invite() };
    expect(refusalIn(await run.post(one, '/groups', body))).toEqual({ status: 409, code: 'STAGE_TAKEN' });
    const ann = await run.group('ann');
    const asKeeper = await run.post(ann, '/keepers', { token: await run.token('keeper') });
    expect(refusalIn(asKeeper)).toEqual({ status: 409, code: 'STAGE_TAKEN' });
    const elsewhere = person();
    await run.run.join('ben', elsewhere.identity);
    expect(refusalIn(await run.seat(elsewhere, 'a'.repeat(64)))).toEqual({
      status: 401,
      code: 'SIGNATURE_INVALID',
    });
  });

  test('are for those who are invited as what they want to be', async () => {
    const run = await ShardedTestRun.create();
    const asKeeper = await run.post(person(), '/keepers', { token: await run.token('group') });
    expect(refusalIn(asKeeper)).toEqual({ status: 403, code: 'INVITATION_INVALID' });
    const asGroup = await run.post(person(), '/groups', { group: 'ann', token: await run.token('keeper') });
    expect(refusalIn(asGroup)).toEqual({ status: 403, code: 'INVITATION_INVALID' });
    expect(refusalIn(await run.seat(person()))).toEqual({ status: 403, code: 'KEY_UNKNOWN' });
    expect(refusalIn(await run.get(person(), '/seats'))).toEqual({ status: 403, code: 'KEY_UNKNOWN' });
  });

  test('are waited for also where somebody says "start"', async () => {
    const run = await ShardedTestRun.create();
    await run.group('ann');
    await run.group('ben');
    const start = () =>
      adminInject(aggregator, { method: 'POST', path: `/v1/admin/runs/${run.run.run}/start` });
    expect(refusalIn(await start())).toEqual({ status: 422, code: 'ROUND_REFUSED' });
    for (let index = 0; index < 3; index++) await run.keeper();
    expect(await run.phase()).toBe('collecting');
  });

  test('of a keeper whose key was revoked are free again before the run begins, and serve nobody after that', async () => {
    const run = await ShardedTestRun.create();
    const revoke = ({ identity }: Person) =>
      adminInject(aggregator, {
        method: 'DELETE',
        path: `/v1/admin/runs/${run.run.run}/keepers/${identity.publicKey}`,
      });
    const { one: first } = await run.keeper();
    expect(refusalIn(await revoke(first)).status).toBe(200);
    expect(refusalIn(await run.seat(first))).toEqual({ status: 403, code: 'KEY_REVOKED' });
    expect(refusalIn(await revoke(person()))).toEqual({ status: 403, code: 'KEY_UNKNOWN' });
    const { one: second, seat } = await run.keeper();
    expect(seat.json()).toEqual({ stage: 0, standby: false });
    await run.keeper();
    await run.keeper();
    const [ann] = [await run.group('ann'), await run.group('ben')];
    expect(await run.phase()).toBe('collecting');
    const before = (await run.get(ann, '/seats')).json();
    await revoke(second);
    expect(refusalIn(await run.get(second, '/seats'))).toEqual({ status: 403, code: 'KEY_REVOKED' });
    // The seats stay as all agreed on them.
    expect((await run.get(ann, '/seats')).json()).toEqual(before);
  });

  test('are not in a run without stages', async () => {
    const plain = await TestRun.create(aggregator, { name: 'plain' });
    const ann: TestGroup = await plain.join('ann');
    const refused = [
      await plain.send(ann, {
        method: 'GET',
        path: plain.path('/inbox?relay=&after=0&course=0&order=0&newcomers=0'),
      }),
      await plain.send(
        { identity: freshIdentity() },
        { method: 'POST', path: plain.path('/keepers'), body: { token: null } },
      ),
    ];
    await plain.join('ben');
    refused.push(await plain.send(ann, { method: 'GET', path: plain.path('/seats') }));
    expect(refused.map((one) => refusalIn(one).code)).toEqual([
      'ROUND_REFUSED',
      'CONFIG_CONFLICT',
      'CONFIG_CONFLICT',
    ]);
  });
});

describe('the relay', () => {
  const relayed = (change: Partial<Relayed> = {}) =>
    encodeCbor({ relay: '', status: null, ready: null, frames: [], ...change });

  test('serves those with a seat, each its own, and takes nothing that is no frame of its sender', async () => {
    const run = await ShardedTestRun.create();
    const [ann] = [await run.group('ann'), await run.group('ben')];
    const before = await run.get(ann, '/inbox?relay=&after=0&course=0&order=0&newcomers=0');
    expect(refusalIn(before)).toEqual({ status: 422, code: 'ROUND_REFUSED' });
    const { one: keeper } = await run.keeper();
    await run.keeper();
    await run.keeper();
    const first = await run.get(keeper, '/inbox?relay=&after=0&course=0&order=0&newcomers=0');
    const inbox = readCbor(first.rawPayload, inboxSchema, 1000)!;
    expect(inbox).toMatchObject({ last: 0, frames: [], order: null, course: null });
    expect(inbox.relay).toMatch(/^[0-9a-f]{32}$/);

    const bytes = (body: Uint8Array) =>
      run.run.send(ann, { method: 'POST', path: run.run.path('/frames'), body });
    expect((await bytes(relayed())).json()).toEqual({ taken: 0 });
    const nonsense = [new Uint8Array([0xa0]), new Uint8Array(), encodeCbor({ relay: '', frames: [] })];
    for (const body of nonsense) expect(refusalIn(await bytes(body)).code).toBe('REQUEST_MALFORMED');
    expect(refusalIn(await bytes(relayed({ frames: [new Uint8Array(40)] })))).toEqual({
      status: 422,
      code: 'FRAME_REFUSED',
    });
    const stranger = person();
    await run.run.join('cem', stranger.identity);
    const late = await run.get(stranger, '/inbox?relay=&after=0&course=0&order=0&newcomers=0');
    expect(refusalIn(late)).toEqual({ status: 403, code: 'KEY_UNKNOWN' });
    await adminInject(aggregator, { method: 'DELETE', path: `/v1/admin/runs/${run.run.run}/groups/ann` });
    expect(refusalIn(await bytes(relayed()))).toEqual({ status: 403, code: 'KEY_REVOKED' });
  });

  test('keeps what is not acknowledged, in its order, and no more than it has room for', () => {
    const mailbox = new Mailbox();
    const frames = [1, 2, 3].map((fill) => new Uint8Array(10).fill(fill));
    for (const frame of frames) mailbox.put(frame, 'ann');
    expect(mailbox.after(0, 25)).toEqual({ last: 2, frames: frames.slice(0, 2) });
    expect(mailbox.after(0, 1)).toEqual({ last: 1, frames: frames.slice(0, 1) });
    expect(mailbox.after(2, 25)).toEqual({ last: 3, frames: frames.slice(2) });
    expect(mailbox.after(2, 25)).toEqual({ last: 3, frames: frames.slice(2) });
    expect(mailbox.after(3, 25)).toEqual({ last: 3, frames: [] });
    // A number that was never given acknowledges nothing that comes later.
    expect(mailbox.after(1000, 25)).toEqual({ last: 3, frames: [] });
    mailbox.put(frames[0]!, 'ann');
    expect(mailbox.after(3, 25)).toEqual({ last: 4, frames: [frames[0]] });
    const full = new Mailbox();
    const fill = () => {
      for (;;) full.put(new Uint8Array(1), 'ann');
    };
    expect(fill).toThrow(expect.objectContaining({ code: 'RATE_LIMITED' }));
    full.after(1000, 1);
    expect(() => full.put(new Uint8Array(1), 'ann')).not.toThrow();
  });
});
