import { rmSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import type { KeeperTrainer } from '../../src/client/sharding/keeper-trainer.ts';
import { stagedOptions } from '../../src/predictor/staged/options.ts';
import { outerLayout } from '../../src/predictor/staged/parts.ts';
import { temporaryFolder } from '../support/cli.ts';
import { type ServingKeeper, ShardedWorld } from '../support/sharded-world.ts';

// A sharded run whose keeper is lost for good, with nobody who was told of its stage: it goes on from what the keeper left with the aggregator.

/** Who stands by for stage i is keeper 3 + i, and is not started before it is needed. */
const STANDBYS = [0, 1, 2];
const RECOVERY = 'sharding={ epochRounds: 2, standbys: 3, recovery: 2 }';
const open: { world: ShardedWorld; keepers: (ServingKeeper | null)[]; trainers: KeeperTrainer[] }[] = [];

function cast(setting = RECOVERY) {
  const world = new ShardedWorld(temporaryFolder(), STANDBYS, { overrides: [setting] });
  const keepers: (ServingKeeper | null)[] = [0, 1, 2].map((index) => world.serve(index));
  const trainers = [0, 1, 2].map((group) => world.trainer(group));
  open.push({ world, keepers, trainers });
  const { predictor } = world.experiment;
  const { size } = outerLayout(predictor.layout, stagedOptions.parse(predictor.options));
  const received = new Float32Array(size).map((_, i) => Math.sin(i) / 4);
  const train = async (round: number) => {
    world.wanted = world.round(round);
    const trained = trainers.map((trainer) => trainer.train({ round, attempt: 1 }, received));
    return (await Promise.all(trained)).map(({ loss }) => loss);
  };
  return { world, keepers, trainers, train };
}
type Cast = ReturnType<typeof cast>;

afterEach(async () => {
  for (const { world, keepers, trainers } of open.splice(0)) {
    await Promise.all(trainers.map((trainer) => trainer.close()));
    await Promise.all(keepers.map((keeper) => keeper?.stop()));
    await world.stop();
  }
});

const stored = ({ world }: Cast, index: number) => world.homeOf(index).load()!.memory;
const orders = ({ keepers }: Cast, index: number) =>
  keepers[index]!.events.flatMap((event) => (event.type === 'order' ? [event] : []));

/** Waits until the stage of a keeper as it is stored is with the aggregator, and the others have their shares. */
async function isLeft(all: Cast, index: number): Promise<void> {
  const { place, links } = stored(all, index);
  const newest = () =>
    all.world.deposits.findLast(
      ({ header: { stage, epoch, round } }) =>
        stage === index && epoch === links.epoch && round === place.round,
    )?.header.id;
  await expect.poll(newest, { timeout: 20_000 }).toBeDefined();
  const others = [0, 1, 2].filter((one) => one !== index);
  for (const other of others) {
    const ids = () =>
      all.world
        .homeOf(other)
        .loadShares()
        .map(({ id }) => id);
    await expect.poll(ids, { timeout: 20_000 }).toContain(newest());
  }
}

/** A keeper is gone, and its folder with it. */
async function lose(all: Cast, index: number): Promise<void> {
  await all.keepers[index]!.stop();
  all.keepers[index] = null;
  rmSync(all.world.homeOf(index).folder, { recursive: true });
}

describe.each([0, 1, 2])('the keeper of stage %i, lost for good between rounds', (stage) => {
  test('is replaced by who was never told of the stage, which goes on to the bit, also where the aggregator was started again', async () => {
    const all = cast();
    for (const round of [1, 2, 3]) await all.train(round);
    await isLeft(all, stage);
    const last = stored(all, stage);
    expect(last.links.epoch).toBe(1);
    await lose(all, stage);
    // The frames that the keeper sent to who stands by are gone with the relay.
    await all.world.restart();
    all.keepers[3 + stage] = all.world.serve(3 + stage);
    const training = all.train(4);
    const recovered = () => orders(all, 3 + stage).find(({ kind }) => kind === 'recover');
    await expect.poll(recovered, { timeout: 30_000 }).toMatchObject({ failure: null, epoch: 1, round: 3 });
    await training;
    await all.train(5);
    const others = [0, 1, 2].map((index) => (index === stage ? 3 + stage : index));
    expect(others.map((index) => stored(all, index).links.epoch)).toEqual([2, 2, 2]);
    expect(all.world.memory?.keeping[stage]).toBe(all.world.seats.standbys[stage]!.seat.id);
  });
});
