import { expect } from 'vitest';
import type { KeeperTrainer } from '../../src/client/sharding/keeper-trainer.ts';
import { stagedOptions } from '../../src/predictor/staged/options.ts';
import { outerLayout } from '../../src/predictor/staged/parts.ts';
import { readiness } from '../../src/server/relay/course.ts';
import { temporaryFolder } from './cli.ts';
import { type ServingKeeper, ShardedWorld, type WorldOptions } from './sharded-world.ts';

const open: Cast[] = [];

/** A sharded world with all who take part at work. */
export interface Cast {
  readonly world: ShardedWorld;
  readonly keepers: ServingKeeper[];
  readonly trainers: KeeperTrainer[];
  /** Front and head that all rounds begin with. */
  readonly received: Float32Array;
  /** All groups, or some, train in a round; their losses. */
  train(round: number, groups?: readonly number[], opening?: number): Promise<number[]>;
}

/** A world with its keepers at work, or with the first ones alone; `standbys`: stages that somebody stands by for. */
export function cast(
  standbys: readonly number[] = [],
  changes: WorldOptions = {},
  atWork = 3 + standbys.length,
): Cast {
  const world = new ShardedWorld(temporaryFolder(), standbys, changes);
  const keepers = Array.from({ length: atWork }, (_, index) => world.serve(index));
  const trainers = [0, 1, 2].map((group) => world.trainer(group));
  const received = new Float32Array(outerOf({ world })).map((_, i) => Math.sin(i) / 4);
  const train = async (round: number, groups: readonly number[] = [0, 1, 2], opening = 1) => {
    const training = Promise.all(
      groups.map((group) => trainers[group]!.train({ round, attempt: opening }, received)),
    );
    // However slow the machine is, nobody who takes part is late.
    await Promise.race([training, ready({ world }, round, groups, opening)]);
    world.wanted = world.round(round, [0, 1, 2], opening);
    return (await training).map(({ loss }) => loss);
  };
  const all = { world, keepers, trainers, received, train };
  open.push(all);
  return all;
}

/** Waits until groups are ready to train in a round. */
export async function ready(
  { world }: Pick<Cast, 'world'>,
  round: number,
  groups: readonly number[],
  opening = 1,
): Promise<void> {
  const ids = world.round(round, groups).groups;
  const are = () => ids.every((id) => world.relay.isReady(id, readiness(round, opening)));
  await expect.poll(are, { timeout: 20_000, interval: 1 }).toBe(true);
}

/** Ends all that were cast. */
export async function closeCasts(): Promise<void> {
  for (const { world, keepers, trainers } of open.splice(0)) {
    await Promise.all(trainers.map((trainer) => trainer.close()));
    await Promise.all(keepers.map((keeper) => keeper.stop()));
    await world.stop();
  }
}

/** What a keeper has on its disk. */
export const stored = ({ world }: Cast, index: number) => world.homeOf(index).load()!;

/** The epochs that keepers have on their disks. */
export const epochs = (all: Cast, indices = [0, 1, 2]) =>
  indices.map((index) => stored(all, index).memory.links.epoch);

/** The rounds that keepers have on their disks. */
export const rounds = (all: Cast, indices = [0, 1, 2]) =>
  indices.map((index) => stored(all, index).memory.place.round);

/** Number of parameters of front and head. */
export function outerOf({ world }: Pick<Cast, 'world'>): number {
  const { predictor } = world.experiment;
  return outerLayout(predictor.layout, stagedOptions.parse(predictor.options)).size;
}

/** Waits until a keeper was told to begin the training of a round. */
export async function begun({ events }: ServingKeeper, round: number): Promise<void> {
  const has = () =>
    events.some((event) => event.type === 'order' && event.kind === 'begin' && event.round === round);
  await expect.poll(has, { timeout: 20_000, interval: 1 }).toBe(true);
}

/** Waits until a keeper carried out an order, or failed to. */
export async function order({ events }: ServingKeeper, kind: string): Promise<void> {
  const has = () => events.some((event) => event.type === 'order' && event.kind === kind);
  await expect.poll(has, { timeout: 20_000, interval: 1 }).toBe(true);
}
