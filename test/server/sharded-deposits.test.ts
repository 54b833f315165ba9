import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/config.ts';
import { roundsLayout } from '../../src/config/sharded-run.ts';
import { predictorOf } from '../../src/config/worker-setup.ts';
import { sha256 } from '../../src/core/digest.ts';
import { keyPairOf } from '../../src/privacy/secure-sum/key-agreement.ts';
import { depositsOf } from '../../src/server/deposits.ts';
import { type DepositContent, readDeposit, sealDeposit } from '../../src/sharding/deposits/stage-deposit.ts';
import { takeSeat } from '../../src/sharding/frames/seats.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import type { Identity } from '../../src/wire/identity.ts';
import { adminInject, refusalIn, TestRun } from '../support/signed-inject.ts';
import {
  freshIdentity,
  openTestAggregator,
  type TestAggregator,
  tinyPlan,
} from '../support/test-aggregator.ts';

// What keepers leave of their stages with the aggregator: from whom it takes it, to whom it gives it, and what it keeps.

let aggregator: TestAggregator;
beforeAll(async () => {
  aggregator = await openTestAggregator();
});
afterAll(() => aggregator.close());

let secrets = 0;

/** A run of three stages that has begun, somebody standing by for the first, with all its keepers. */
class DepositRun {
  readonly run: TestRun;
  readonly keepers: readonly Identity[];
  readonly group: Identity;

  private constructor(run: TestRun, keepers: readonly Identity[], group: Identity) {
    this.run = run;
    this.keepers = keepers;
    this.group = group;
  }

  static async create(recovery = 2): Promise<DepositRun> {
    const { config } = tinyPlan();
    const shape = { layersPerStage: 1, width: 4, heads: 1, feedforward: 4, embedderLayers: 2 };
    const predictor = { name: 'staged', stages: 3, ...shape };
    const sharded = { ...config, predictor, sharding: { standbys: 1, recovery } };
    const parsed = parseConfig(sharded);
    const { layout } = predictorOf(parsed, { featureWidth: 2, rows: 0 });
    const plan = tinyPlan({ config: sharded, parameters: roundsLayout(parsed, layout).size });
    const run = await TestRun.create(aggregator, { name: 'left', plan });
    const keepers = [];
    for (let index = 0; index < 4; index++) keepers.push(await joined(run));
    const groups = [];
    for (const name of ['ann', 'ben']) {
      const identity = freshIdentity();
      await run.join(name, identity);
      await seat(run, identity);
      groups.push(identity);
    }
    return new DepositRun(run, keepers, groups[0]!);
  }

  /** A deposit of a stage by one of the keepers. */
  made(by: number, change: Partial<DepositContent> = {}) {
    const memory = { masters: new Float64Array(5), first: new Float64Array(5), second: new Float64Array(5) };
    const place = { run: this.run.digest, stage: by, epoch: 0, round: 1, stages: 3, threshold: 2, width: 4 };
    return sealDeposit({ ...place, memory: { ...memory, steps: 1 }, ...change }, this.keepers[by]!);
  }

  leave(bytes: Uint8Array, identity: Identity) {
    return this.run.send({ identity }, { method: 'POST', path: this.run.path('/deposits'), body: bytes });
  }

  fetch(stage: number, id: string, identity: Identity) {
    return this.run.send({ identity }, { method: 'GET', path: this.run.path(`/deposits/${stage}/${id}`) });
  }

  /** Says who keeps the stages, and which epoch was decided to be kept. */
  async settle(keepers: readonly number[], kept: number): Promise<void> {
    const keeping = keepers.map((index) => this.keepers[index]!.publicKey);
    await aggregator.aggregator.db
      .updateTable('runs')
      .set({ crew: JSON.stringify({ keeping, kept }) })
      .where('id', '=', this.run.run)
      .execute();
  }

  async kept(stage: number): Promise<string[]> {
    const rows = await depositsOf(aggregator.aggregator.db, this.run.run);
    return rows.filter((row) => row.stage === stage).map(({ id }) => id);
  }
}

async function joined(run: TestRun): Promise<Identity> {
  const path = `/v1/admin/runs/${run.run}/invitations`;
  const body = { group: null, count: 1, expiresInMs: 60_000, role: 'keeper' };
  const { tokens } = (await adminInject(aggregator, { method: 'POST', path, body })).json();
  const identity = freshIdentity();
  await run.send({ identity }, { method: 'POST', path: run.path('/keepers'), body: { token: tokens[0] } });
  await seat(run, identity);
  return identity;
}

async function seat(run: TestRun, identity: Identity): Promise<void> {
  const keys = keyPairOf(new Uint8Array(32).fill(++secrets));
  const { agreementKey, signature } = takeSeat(run.digest, identity, keys.publicKey);
  const taken = await run.send(
    { identity },
    { method: 'POST', path: run.path('/seat'), body: { agreementKey, signature } },
  );
  expect(refusalIn(taken)).toEqual({ status: 200, code: null });
}

describe('a stage that is left with the aggregator', () => {
  test('is kept byte for byte for who may keep it, and for nobody else', async () => {
    const run = await DepositRun.create();
    const { bytes, header } = run.made(0);
    expect((await run.leave(bytes, run.keepers[0]!)).json()).toEqual({ done: true });
    // Sent again where the answer was lost.
    expect((await run.leave(bytes, run.keepers[0]!)).statusCode).toBe(200);
    expect(await run.kept(0)).toEqual([header.id]);
    for (const holder of [run.keepers[0]!, run.keepers[3]!]) {
      const { rawPayload, statusCode } = await run.fetch(0, header.id, holder);
      expect(statusCode).toBe(200);
      expect(new Uint8Array(rawPayload)).toEqual(bytes);
    }
    for (const other of [run.keepers[1]!, run.keepers[2]!, run.group]) {
      expect(refusalIn(await run.fetch(0, header.id, other))).toEqual({ status: 409, code: 'STAGE_TAKEN' });
    }
    const stranger = await run.fetch(0, header.id, freshIdentity());
    expect(refusalIn(stranger)).toEqual({ status: 403, code: 'KEY_UNKNOWN' });
    const unknown = await run.fetch(0, '0'.repeat(32), run.keepers[3]!);
    expect(refusalIn(unknown)).toEqual({ status: 422, code: 'DEPOSIT_REFUSED' });
  });

  test('is taken from who keeps it alone, signed, and of this run', async () => {
    const run = await DepositRun.create();
    const other = await DepositRun.create();
    const [first, second] = run.keepers;
    const standby = sealDeposit({ ...contentOf(run), stage: 0 }, run.keepers[3]!);
    const changed = run.made(0).bytes;
    changed[changed.length - 1]! ^= 1;
    const cases: [Uint8Array, Identity][] = [
      [run.made(0).bytes, second!],
      [run.made(0).bytes, run.group],
      [run.made(0, { stage: 1 }).bytes, first!],
      [run.made(0, { run: other.run.digest }).bytes, first!],
      [changed, first!],
      [new Uint8Array(40), first!],
      // Whoever stands by could push out what the keeper left.
      [standby.bytes, run.keepers[3]!],
    ];
    for (const [bytes, identity] of cases) {
      expect(refusalIn(await run.leave(bytes, identity))).toEqual({ status: 422, code: 'DEPOSIT_REFUSED' });
    }
    expect(await run.kept(0)).toEqual([]);
    expect(await run.kept(1)).toEqual([]);
    const none = await DepositRun.create(0);
    expect(refusalIn(await none.leave(none.made(0).bytes, none.keepers[0]!)).code).toBe('DEPOSIT_REFUSED');
  });

  test('is kept with the one before it, and no older one, nor one of an epoch before; what is given up is gone', async () => {
    const run = await DepositRun.create();
    const { blobs } = aggregator.aggregator;
    const left: { id: string; blob: string }[] = [];
    for (const [epoch, round] of [
      [0, 1],
      [0, 2],
      [0, 3],
      [1, 3],
      [1, 4],
    ] as const) {
      await run.settle([0, 1, 2], epoch);
      const { bytes, header } = run.made(1, { epoch, round });
      await run.leave(bytes, run.keepers[1]!);
      left.push({ id: header.id, blob: `deposits/${run.run.run}/1/${header.id}` });
      const kept = await run.kept(1);
      expect(kept.at(-1)).toBe(header.id);
      expect(kept).toHaveLength(epoch === 0 ? Math.min(round, 2) : round - 2);
      for (const { id, blob } of left) {
        expect((await blobs.read(blob)) !== null, `round ${round}`).toBe(kept.includes(id));
      }
    }
    // One that comes late moves nothing.
    const late = run.made(1, { epoch: 0, round: 9 });
    await run.leave(late.bytes, run.keepers[1]!);
    expect(await run.kept(1)).toEqual(left.slice(-2).map(({ id }) => id));
    expect(await blobs.read(`deposits/${run.run.run}/1/${late.header.id}`)).toBeNull();
    // The others' stages have nothing to do with it.
    await run.leave(run.made(2).bytes, run.keepers[2]!);
    expect(await run.kept(2)).toHaveLength(1);
    expect(await run.kept(1)).toHaveLength(2);
  });

  test('is taken from who took over the stage, once that is so', async () => {
    const run = await DepositRun.create();
    const standby = sealDeposit({ ...contentOf(run), stage: 0 }, run.keepers[3]!);
    await run.settle([3, 1, 2], 0);
    expect((await run.leave(standby.bytes, run.keepers[3]!)).statusCode).toBe(200);
    expect(refusalIn(await run.leave(run.made(0).bytes, run.keepers[0]!)).code).toBe('DEPOSIT_REFUSED');
  });

  test('stands in nobody’s way who keeps the stage later, whatever it says of its epoch and round', async () => {
    const run = await DepositRun.create();
    const far = run.made(0, { epoch: 2 ** 30 });
    expect(refusalIn(await run.leave(far.bytes, run.keepers[0]!)).code).toBe('DEPOSIT_REFUSED');
    for (const round of [2 ** 30, 2 ** 30 + 1]) {
      await run.leave(run.made(0, { round }).bytes, run.keepers[0]!);
    }
    await run.settle([3, 1, 2], 0);
    const ids = [];
    for (const round of [4, 5]) {
      const { bytes, header } = sealDeposit({ ...contentOf(run), stage: 0, round }, run.keepers[3]!);
      await run.leave(bytes, run.keepers[3]!);
      expect(await run.kept(0)).toContain(header.id);
      ids.push(header.id);
    }
    expect(await run.kept(0)).toEqual(ids);
  });

  test('is not handed out where another one was left by its id: the aggregator noted what its course goes by', async () => {
    const run = await DepositRun.create();
    const noted = run.made(0);
    await run.leave(noted.bytes, run.keepers[0]!);
    const { sealed, header } = readDeposit(noted.bytes);
    const other = { ...header, round: 2 ** 30 };
    const lines = ['pluralllm-deposit-v1', sha256(encodeCbor(other)), sha256(sealed)];
    const signature = run.keepers[0]!.sign(Buffer.from(lines.join('\n')));
    await run.leave(encodeCbor({ header: other, sealed, signature }), run.keepers[0]!);
    expect(await run.kept(0)).toEqual([header.id]);
    const fetched = await run.fetch(0, header.id, run.keepers[3]!);
    if (fetched.statusCode === 200) expect(new Uint8Array(fetched.rawPayload)).toEqual(noted.bytes);
    else expect(refusalIn(fetched)).toEqual({ status: 422, code: 'DEPOSIT_REFUSED' });
  });
});

function contentOf({ run }: DepositRun): Omit<DepositContent, 'stage'> {
  const memory = { masters: new Float64Array(5), first: new Float64Array(5), second: new Float64Array(5) };
  const place = { run: run.digest, epoch: 0, round: 1, stages: 3, threshold: 2, width: 4 };
  return { ...place, memory: { ...memory, steps: 1 } };
}
