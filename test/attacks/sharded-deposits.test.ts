import { afterEach, describe, expect, test } from 'vitest';
import { KeeperHome } from '../../src/client/sharding/keeper-home.ts';
import { bytesOf } from '../../src/core/bytes.ts';
import { frameOfShare, shareOfFrame } from '../../src/sharding/deposits/share-frame.ts';
import { openDeposit, readDeposit, type StageShare } from '../../src/sharding/deposits/stage-deposit.ts';
import { Link } from '../../src/sharding/frames/link.ts';
import { openFrame, readFrame, sealFrame } from '../../src/sharding/frames/sealed-frame.ts';
import { stageOf } from '../../src/sharding/frames/seats.ts';
import type { Keeper } from '../../src/sharding/keeper/keeper.ts';
import type { LocalShardedRun, LocalShardedSetup } from '../../src/sharding/local/run.ts';
import type { FrameHeader } from '../../src/wire/shard-frame.ts';
import { temporaryFolder } from '../support/cli.ts';
import { cutParameters, openTinyRun, participantOf, RUN } from '../support/sharded-run.ts';
import { startOf, tinyStaged, tinyTasks } from '../support/sharding.ts';

// What an aggregator that lies, keepers who work with it, and one who spoils can do with stages that are left, where t of the other stages' keepers open one.

const options = tinyStaged();
const { width } = options;
const { outer, stages } = cutParameters(options, startOf(options));
const THRESHOLD = 2;
const tasks = tinyTasks(3);
const batchOf = (group: string) => tasks['abc'.indexOf(group)]!;
const train = (run: LocalShardedRun, round: number) =>
  run.train({ round, attempt: 0, groups: ['a', 'b'], learningRates: [0.003], outer, batchOf });

const opened: LocalShardedRun[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((run) => run.close()));
});

/** One stands by for each stage; for the middle one two. */
async function open(changes: Partial<LocalShardedSetup> = {}): Promise<LocalShardedRun> {
  const run = await openTinyRun(options, stages, { standbys: [0, 1, 2, 1], recovery: THRESHOLD, ...changes });
  opened.push(run);
  return run;
}

const everybody = (run: LocalShardedRun) => [...run.keepers, ...run.standbys];
const idsOf = ({ seats }: LocalShardedRun) =>
  [...seats.keepers, ...seats.standbys.map(({ seat }) => seat)].map(({ id }) => id);

async function carry(run: LocalShardedRun, frames: readonly Uint8Array[]): Promise<void> {
  for (const frame of frames) {
    await everybody(run)[idsOf(run).indexOf(readFrame(frame).header.to)]!.receive(frame);
  }
}

async function left(run: LocalShardedRun, keeper: Keeper) {
  const deposit = (await keeper.deposit())!;
  await carry(run, deposit.shares);
  return deposit;
}

const sizeOf = (keeper: Keeper) => keeper.memory().stage.masters.length;

describe('an aggregator', () => {
  test('is told no share itself, nor is a group, another keeper, or somebody without a seat', async () => {
    const run = await open();
    const { header } = await left(run, run.keepers[1]!);
    const [first] = run.keepers;
    const standby = run.seats.standbys[1]!.seat.id;
    const strangers = [
      run.seats.groups[0]!.id,
      run.seats.keepers[0]!.id,
      run.seats.keepers[2]!.id,
      run.seats.standbys[2]!.seat.id,
      'ab'.repeat(32),
    ];
    for (const to of strangers) {
      const order = first!.reveal({ stage: 1, id: header.id, to });
      await expect(order).rejects.toMatchObject({ code: 'ROUND_REFUSED' });
    }
    // Of another stage than the deposit's, of the own one, and of a deposit that there is not.
    for (const [order, code] of [
      [{ stage: 2, id: header.id, to: run.seats.standbys[2]!.seat.id }, 'DEPOSIT_REFUSED'],
      [{ stage: 0, id: header.id, to: run.seats.standbys[0]!.seat.id }, 'ROUND_REFUSED'],
      [{ stage: 1, id: '0'.repeat(32), to: standby }, 'DEPOSIT_REFUSED'],
    ] as const) {
      await expect(first!.reveal(order)).rejects.toMatchObject({ code });
    }
    expect(await first!.reveal({ stage: 1, id: header.id, to: standby })).toHaveLength(1);
  });

  test('reads neither stage nor share in anything that it carries or keeps', async () => {
    const run = await open();
    await train(run, 1);
    const keeper = run.keepers[1]!;
    const { bytes, shares, header } = await left(run, keeper);
    const frames = await run.keepers[0]!.reveal({
      stage: 1,
      id: header.id,
      to: run.seats.standbys[1]!.seat.id,
    });
    const seen = [bytes, ...shares, ...frames].map((one) => Buffer.from(one));
    const { masters, first, second } = keeper.memory().stage;
    const pieces = [masters, first, second].flatMap((values) => {
      const start = values.length >> 1;
      return [values.slice(start, start + 2), Float32Array.from(values.slice(start, start + 4))].map(bytesOf);
    });
    const secrets = everybody(run).flatMap((one) => one.shares.map(({ share }) => share));
    expect(secrets.length).toBeGreaterThan(0);
    for (const piece of [...pieces, ...secrets]) {
      for (const one of seen) expect(one.includes(Buffer.from(piece))).toBe(false);
    }
  });

  test('that works with keepers of fewer other stages than it takes opens nothing, and with so many it does', async () => {
    const run = await open();
    const { bytes, header } = await left(run, run.keepers[1]!);
    const deposit = readDeposit(bytes);
    const size = sizeOf(run.keepers[1]!);
    const sharesOf = (...keepers: readonly Keeper[]): StageShare[] =>
      keepers.flatMap((keeper) => {
        const stage = stageOf(run.seats, idsOf(run)[everybody(run).indexOf(keeper)]!)!;
        return keeper.shares.filter(({ id }) => id === header.id).map(({ share }) => ({ stage, share }));
      });
    const opening = (shares: readonly StageShare[]) => () =>
      openDeposit(deposit, shares, { threshold: THRESHOLD, size, width });
    // All of one stage: keeper and who stands by.
    const one = sharesOf(run.keepers[0]!, run.standbys[0]!);
    expect(one).toHaveLength(2);
    expect(opening(one)).toThrow(expect.objectContaining({ code: 'DEPOSIT_REFUSED' }));
    // Nor does it help to say that the share of one stage is that of another.
    expect(opening([one[0]!, { ...one[1]!, stage: 2 }])).toThrow(
      expect.objectContaining({ code: 'DEPOSIT_REFUSED' }),
    );
    // This is what a run that turns deposits on accepts (docs/threat-model.md).
    expect(opening(sharesOf(run.keepers[0]!, run.keepers[2]!))()).toEqual(run.keepers[1]!.memory().stage);
  });

  test('that kept all frames and deposits opens none of an epoch before, with all that keepers have later', async () => {
    const run = await open();
    const deposits = [];
    for (const keeper of run.keepers) deposits.push(await left(run, keeper));
    expect(await run.morph()).toBe(true);
    expect(await run.morph()).toBe(true);
    expect(run.keepers.map(({ shares }) => shares)).toEqual([[], [], []]);
    const secrets = run.memory().flatMap(({ links }) => links.secrets.map(([, secret]) => secret));
    for (const frame of deposits.flatMap(({ shares }) => shares)) {
      for (const secret of secrets) {
        expect(() => openFrame(readFrame(frame), Link.from(2, secret))).toThrow('it does not open');
      }
    }
    // Who comes back to take over refuses them, too.
    const taking = run.standbys[1]!;
    const [settled] = await run.keepers[1]!.share();
    await taking.receive(settled!);
    const { bytes, header } = deposits[1]!;
    await expect(taking.recover(bytes, header.id)).rejects.toMatchObject({ code: 'DEPOSIT_REFUSED' });
  });

  test('that kept what it carried opens shares of later epochs with the disk of an earlier day', async () => {
    const run = await open();
    const disk = run.keepers[0]!.memory();
    expect(await run.morph()).toBe(true);
    const { shares } = (await run.keepers[1]!.deposit())!;
    const sent = shares.find((one) => readFrame(one).header.to === run.seats.keepers[0]!.id)!;
    await run.keepers[0]!.receive(sent);
    const frame = readFrame(sent);
    const [, secret] = disk.links.secrets.find(([other]) => other === frame.header.from)!;
    // This is what docs/threat-model.md says of such a disk.
    const { share } = shareOfFrame(openFrame(frame, Link.from(0, secret).next()));
    expect(run.keepers[0]!.shares.map((one) => one.share)).toContainEqual(share);
  });

  test('hands who takes over nothing else than was asked for: no other stage, deposit, run or round', async () => {
    const run = await open();
    const other = await open({ run: 'ef'.repeat(32) });
    const [keeper, taking] = [run.keepers[1]!, run.standbys[1]!];
    await train(run, 1);
    const older = await left(run, keeper);
    await train(run, 2);
    const newer = await left(run, keeper);
    const neighbour = await left(run, run.keepers[0]!);
    const elsewhere = await left(other, other.keepers[1]!);
    const told = async (id: string) => {
      for (const one of [run.keepers[0]!, run.keepers[2]!]) {
        await carry(run, await one.reveal({ stage: 1, id, to: run.seats.standbys[1]!.seat.id }));
      }
    };
    await told(newer.header.id);
    for (const { bytes, header } of [older, neighbour, elsewhere]) {
      for (const id of [header.id, newer.header.id]) {
        await expect(taking.recover(bytes, id)).rejects.toMatchObject({ code: 'DEPOSIT_REFUSED' });
      }
    }
    expect(taking.holds).toBe(false);
    await taking.recover(newer.bytes, newer.header.id);
    // And who has a later round does not go back.
    await told(older.header.id);
    await expect(taking.recover(older.bytes, older.header.id)).rejects.toThrow('it is of an earlier round');
    // Nor does who keeps the stage.
    await expect(keeper.recover(newer.bytes, newer.header.id)).rejects.toMatchObject({
      code: 'ROUND_REFUSED',
    });
  });
});

describe('a keeper', () => {
  /** A frame with a share that somebody seals as an honest keeper would, with another header. */
  function forged(run: LocalShardedRun, by: string, to: string, changes: Partial<FrameHeader>, digit = '1') {
    const { identity } = participantOf(run, by, options);
    const memory = everybody(run)[idsOf(run).indexOf(identity.publicKey)]!.memory();
    const secret = memory.links.secrets.find(([other]) => other === to)![1];
    const frame = frameOfShare({ id: digit.repeat(32), share: new Uint8Array(32).fill(7) });
    const header: FrameHeader = {
      ...{ run: RUN, kind: 'share', epoch: memory.links.epoch, round: 9, attempt: 0, step: 0 },
      ...{ group: identity.publicKey, boundary: 1, from: identity.publicKey, to, type: 'uint8' },
      ...{ rows: frame.rows, width: frame.width, context: 1, target: 1, sequence: 0 },
      ...changes,
    };
    return sealFrame(frame, header, Link.from(header.epoch, secret), identity);
  }
  test('that only stands by, or keeps another stage, pushes out no share of what the keeper left', async () => {
    const run = await open();
    await left(run, run.keepers[1]!);
    const [first] = run.keepers;
    const before = first!.shares;
    const to = run.seats.keepers[0]!.id;
    const frames = [
      forged(run, 'standby 1', to, {}),
      forged(run, 'keeper 2', to, {}),
      forged(run, 'keeper 1', to, { boundary: 2 }),
      forged(run, 'keeper 1', to, { epoch: 1 }),
      forged(run, 'keeper 1', to, { group: to }),
      forged(run, 'keeper 1', to, { type: 'float32', rows: 1, width: 12 }),
      forged(run, 'keeper 1', to, { run: '0'.repeat(64) }),
    ];
    for (const [index, frame] of frames.entries()) {
      await expect(first!.receive(frame), `${index}`).rejects.toMatchObject({ code: 'FRAME_REFUSED' });
    }
    expect(first!.shares).toBe(before);
  });

  test('that says numbers that nobody can store keeps no other from starting again', async () => {
    const run = await open();
    const [first] = run.keepers;
    const to = run.seats.keepers[0]!.id;
    await left(run, run.keepers[1]!);
    const home = new KeeperHome(temporaryFolder());
    for (const round of [2 ** 31, 2 ** 40]) {
      await first!.receive(forged(run, 'keeper 1', to, { round })).catch(() => undefined);
      home.saveShares(first!.shares);
      expect(home.loadShares()).toEqual(first!.shares);
    }
    expect(first!.shares).toHaveLength(1);
  });

  test('that said far too many rounds and is gone stands in nobody’s way who keeps its stage after it', async () => {
    const run = await open();
    await train(run, 1);
    await run.share();
    for (const keeper of [run.keepers[0]!, run.keepers[2]!]) {
      const to = idsOf(run)[everybody(run).indexOf(keeper)]!;
      for (const digit of ['1', '2']) {
        await keeper.receive(forged(run, 'keeper 1', to, { round: 2 ** 30 }, digit));
      }
    }
    await run.replaceBy(1);
    const { bytes, header, shares } = (await run.keepers[1]!.deposit())!;
    // Those who stand by for other stages were not told who keeps this one.
    const others = [run.seats.keepers[0]!.id, run.seats.keepers[2]!.id];
    await carry(
      run,
      shares.filter((frame) => others.includes(readFrame(frame).header.to)),
    );
    const taking = run.standbys[3]!;
    const to = run.seats.standbys[3]!.seat.id;
    for (const one of [run.keepers[0]!, run.keepers[2]!]) {
      await carry(run, await one.reveal({ stage: 1, id: header.id, to }));
    }
    await taking.recover(bytes, header.id);
    expect(taking.memory().stage).toEqual(run.keepers[1]!.memory().stage);
  });

  test('that tells a wrong share holds up nobody where so many others tell theirs, and counts for nobody otherwise', async () => {
    const run = await open();
    const { bytes, header } = await left(run, run.keepers[1]!);
    const taking = run.standbys[1]!;
    const to = run.seats.standbys[1]!.seat.id;
    // The keeper of the third stage lies; who stands by for it does not.
    const frame = forged(run, 'keeper 2', to, { boundary: 1 });
    const { identity } = participantOf(run, 'keeper 2', options);
    const secret = run.memory()[2]!.links.secrets.find(([other]) => other === to)![1];
    const lie = frameOfShare({ id: header.id, share: new Uint8Array(32).fill(7) });
    await taking.receive(sealFrame(lie, readFrame(frame).header, Link.from(0, secret), identity));
    await carry(run, await run.keepers[0]!.reveal({ stage: 1, id: header.id, to }));
    const opening = () => taking.recover(bytes, header.id);
    await expect(opening()).rejects.toThrow('holders of 1 other stage(s) told their share, 2 are needed');
    await carry(run, await run.standbys[2]!.reveal({ stage: 1, id: header.id, to }));
    await opening();
    expect(taking.memory().stage).toEqual(run.keepers[1]!.memory().stage);
  });
});
