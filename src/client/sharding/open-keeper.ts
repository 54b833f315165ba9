import { bytesFrom } from '../../core/bytes.ts';
import { PluralError } from '../../core/errors.ts';
import { keyPairOf } from '../../privacy/secure-sum/key-agreement.ts';
import { acceptedOf } from '../../sharding/frames/introductions.ts';
import { stageOf, withNewcomers } from '../../sharding/frames/seats.ts';
import { Keeper } from '../../sharding/keeper/keeper.ts';
import { QueryBudget } from '../../sharding/keeper/query-budget.ts';
import { secretStart, turnExitOnce } from '../../sharding/keeper/secret-stage.ts';
import type { KeeperParts } from '../../sharding/keeper/setup.ts';
import { Stage } from '../../sharding/parts/stage.ts';
import type { KeeperHome, SeatSecrets } from './keeper-home.ts';
import { checkStandbys, lateSeats, type SeatsNow } from './seats.ts';
import type { ShardedPlan } from './sharded-plan.ts';

/** What a keeper is opened from. */
interface Opening {
  readonly run: string;
  readonly now: SeatsNow;
  readonly plan: ShardedPlan;
  /** The keepers that it accepts; null: any. */
  readonly accepted: readonly string[] | null;
}

/** The keeper that a folder has, or a new one with its secrets; from then on they are needed no more. Errors: STAGE_TAKEN, those of the stage, CHECKPOINT_CORRUPT. */
export async function openKeeper(home: KeeperHome, { run, now, plan, accepted }: Opening): Promise<Keeper> {
  const { options, parts, optimizer, sharding, most, leastGroups } = plan;
  const { seats } = now;
  checkStandbys(seats, sharding.standbys);
  const identity = home.identity();
  const late = lateSeats(sharding, accepted);
  const stored = home.load();
  // Where it was told before who came, that holds.
  const newcomers = stored?.memory.introductions.newcomers ?? now.newcomers;
  const known = withNewcomers(seats, acceptedOf(newcomers, late, identity.publicKey));
  const index = stageOf(known, identity.publicKey);
  if (index === null) throw noSeat();
  const layout = parts.stages[index]!;
  const { width } = options;
  const secrets = stored === null ? home.seatSecrets() : null;
  const isLate = stageOf(seats, identity.publicKey) === null;
  const own = secrets === null || isLate ? null : bytesFrom(secrets.own);
  const parameters = own === null ? new Float32Array(layout.size) : secretStart(layout, own);
  const stage = await Stage.open({ options, layout, parameters, optimizer }, index);
  const shares = home.loadShares();
  const common = {
    run,
    identity,
    seats,
    late,
    stage,
    width,
    frames: sharding.frames,
    most,
    leastGroups,
    queries: budgetOf(home, sharding.queriesPerRound),
    shares,
    ...(sharding.recovery === 0 ? {} : { recovery: sharding.recovery }),
  };
  if (stored !== null) {
    const keeper = new Keeper({ ...common, memory: stored.memory });
    // Those of an epoch before, where a process was killed between storing the stage and them.
    if (keeper.shares !== shares) home.saveShares(keeper.shares);
    if (stored.turned) await keeper.turn();
    return keeper;
  }
  if (own !== null) turnExitOnce(stage, width, own);
  const keeper = begun(common, secrets!, isLate ? now : null);
  home.save({ memory: keeper.memory(), turned: false });
  return keeper;
}

/** A keeper that begins: with the run, or after it, when it knows nobody yet and has no stage. */
function begun(common: KeeperParts, { agreement, own }: SeatSecrets, late: SeatsNow | null): Keeper {
  const secret = bytesFrom(own);
  return late === null
    ? new Keeper({ ...common, keys: keyPairOf(bytesFrom(agreement)), secret })
    : new Keeper({ ...common, keys: null, secret, newcomers: late.newcomers });
}

function budgetOf(home: KeeperHome, most: number): QueryBudget {
  return new QueryBudget({ most, spent: home.loadSpent(), store: (spent) => home.saveSpent(spent) });
}

function noSeat(): PluralError {
  return new PluralError('STAGE_TAKEN', 'this keeper is said to have no seat in the run', {
    hint: 'The aggregator says something else than when it joined: do not go on before it is explained.',
  });
}
