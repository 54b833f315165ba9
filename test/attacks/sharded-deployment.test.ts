import { afterEach, describe, expect, test } from 'vitest';
import { stagedLayout } from '../../src/predictor/staged/parameters.ts';
import { stagedParts } from '../../src/predictor/staged/parts.ts';
import { readFrame, sealFrame } from '../../src/sharding/frames/sealed-frame.ts';
import type { Seats } from '../../src/sharding/frames/seats.ts';
import { Keeper } from '../../src/sharding/keeper/keeper.ts';
import type { KeeperMemory } from '../../src/sharding/keeper/setup.ts';
import type { LocalShardedRun, LocalShardedSetup } from '../../src/sharding/local/run.ts';
import { Stage } from '../../src/sharding/parts/stage.ts';
import { ADAM_DEFAULTS } from '../../src/training/optimizer.ts';
import type { FrameHeader } from '../../src/wire/shard-frame.ts';
import { cutParameters, openTinyRun, participantOf, RUN } from '../support/sharded-run.ts';
import { FEATURE_WIDTH, startOf, tinyStaged, tinyTasks } from '../support/sharding.ts';

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
