import { bytesFrom } from '../../core/bytes.ts';
import { invariant } from '../../core/errors.ts';
import { keyPairOf } from '../../privacy/secure-sum/key-agreement.ts';
import { type Seats, stageOf } from '../../sharding/frames/seats.ts';
import { Keeper } from '../../sharding/keeper/keeper.ts';
import { secretStart, turnExitOnce } from '../../sharding/keeper/secret-stage.ts';
import { Stage } from '../../sharding/parts/stage.ts';
import type { KeeperHome } from './keeper-home.ts';
import { checkStandbys } from './seats.ts';
import type { ShardedPlan } from './sharded-plan.ts';

/** The keeper that a folder has, or a new one with its secrets; from then on they are needed no more. Errors: STAGE_TAKEN, those of the stage, CHECKPOINT_CORRUPT. */
export async function openKeeper(
  home: KeeperHome,
  run: string,
  seats: Seats,
  plan: ShardedPlan,
): Promise<Keeper> {
  const { options, parts, optimizer, sharding, most, leastGroups } = plan;
  checkStandbys(seats, sharding.standbys);
  const identity = home.identity();
  const index = stageOf(seats, identity.publicKey);
  invariant(index !== null, 'a keeper has a seat');
  const layout = parts.stages[index]!;
  const { width } = options;
  const common = {
    run,
    identity,
    seats,
    width,
    frames: sharding.frames,
    most,
    leastGroups,
    queries: sharding.queriesPerRound,
  };
  const stored = home.load();
  if (stored !== null) {
    const parameters = new Float32Array(layout.size);
    const stage = await Stage.open({ options, layout, parameters, optimizer }, index);
    const keeper = new Keeper({ ...common, stage, memory: stored.memory });
    if (stored.turned) await keeper.turn();
    return keeper;
  }
  const { agreement, own } = home.seatSecrets();
  const secret = bytesFrom(own);
  const stage = await Stage.open(
    { options, layout, parameters: secretStart(layout, secret), optimizer },
    index,
  );
  turnExitOnce(stage, width, secret);
  const keeper = new Keeper({ ...common, stage, keys: keyPairOf(bytesFrom(agreement)), secret });
  home.save({ memory: keeper.memory(), turned: false });
  return keeper;
}
