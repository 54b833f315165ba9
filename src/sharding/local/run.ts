import { invariant } from '../../core/errors.ts';
import type { Batch } from '../../predictor/batch.ts';
import type { ParameterLayout } from '../../predictor/layout.ts';
import type { StagedOptions } from '../../predictor/staged/options.ts';
import { stagedLayout } from '../../predictor/staged/parameters.ts';
import { stagedParts } from '../../predictor/staged/parts.ts';
import { keyPairOf } from '../../privacy/secure-sum/key-agreement.ts';
import type { AdamOptions } from '../../training/optimizer.ts';
import { identityOf } from '../../wire/identity.ts';
import type { FrameType } from '../../wire/shard-frame.ts';
import { firstKeeping, type Keeping, type Seats, takeSeat } from '../frames/seats.ts';
import { type Blur, type OuterRound, ShardedGroup } from '../group/sharded-group.ts';
import { morphStages } from '../keeper/epoch.ts';
import { Keeper } from '../keeper/keeper.ts';
import type { RoundOrder } from '../keeper/round-ledger.ts';
import { ownKey, turnExitOnce } from '../keeper/secret-stage.ts';
import type { KeeperMemory } from '../keeper/setup.ts';
import { Front } from '../parts/front.ts';
import { Head } from '../parts/head.ts';
import type { Floats, TaskRows } from '../parts/part-session.ts';
import { Stage } from '../parts/stage.ts';
import { LocalRelay } from './relay.ts';

/** What a sharded run in one process is opened with. */
export interface LocalShardedSetup {
  /** Digest of the run. */
  readonly run: string;
  readonly options: StagedOptions;
  readonly featureWidth: number;
  readonly optimizer: AdamOptions;
  readonly groups: readonly string[];
  readonly frames: FrameType;
  /** Most points of a task. */
  readonly most: TaskRows;
  /** Fewest groups of a round. */
  readonly leastGroups: number;
  /** Stages that somebody stands by for, one entry each; left out: none. */
  readonly standbys?: readonly number[];
  /** Of how many other stages a holder is needed to open a deposit; left out: there are none. */
  readonly recovery?: number;
  /** The secret of 32 bytes of a participant: `keeper 0`, `standby 0` and so on, or `group NAME`. */
  readonly secretOf: (who: string) => Uint8Array;
  /** The parameters that a stage starts from, of its own layout. */
  readonly startOf: (stage: number, layout: ParameterLayout) => Floats;
  readonly blur?: (group: string) => Blur;
  /** Is told of every frame that is handed over. */
  readonly seen?: (to: string, frame: Uint8Array) => void;
}

/** Training of a round: who trains on what, from which front and head. */
export interface LocalRound extends Omit<RoundOrder, 'groups'> {
  readonly groups: readonly string[];
  readonly outer: Pick<OuterRound, 'front' | 'head'>;
  readonly batchOf: (group: string, step: number) => Batch;
}

/** What a group has of a round: its own front and head after it, float64, its mean loss, and the bytes of its frames. */
export interface OuterTrained {
  readonly front: Float64Array;
  readonly head: Float64Array;
  readonly loss: number;
  readonly traffic: { readonly sent: number; readonly received: number };
}

interface Participant {
  readonly identity: ReturnType<typeof identityOf>;
  readonly keys: ReturnType<typeof keyPairOf>;
  readonly secret: Uint8Array;
}

/** Identity and agreement keys that follow from a secret, each from a key of its own. */
function participant(secret: Uint8Array): Participant {
  const identity = identityOf(Buffer.from(ownKey(secret, 'identity')).toString('hex'));
  return { identity, keys: keyPairOf(ownKey(secret, 'agreement')), secret };
}

interface Member {
  readonly id: string;
  readonly member: ShardedGroup;
}

type Members = ReadonlyMap<string, Member>;

/** Front and head, whose sessions all groups share. */
interface Outer {
  readonly front: Front;
  readonly head: Head;
}

async function openKeeper(
  setup: LocalShardedSetup,
  { own, seats, index, layout }: { own: Participant; seats: Seats; index: number; layout: ParameterLayout },
): Promise<Keeper> {
  const { run, options, optimizer, startOf, frames, most, leastGroups, recovery } = setup;
  const { identity, keys, secret } = own;
  const { width } = options;
  const stage = await Stage.open({ options, layout, parameters: startOf(index, layout), optimizer }, index);
  turnExitOnce(stage, width, secret);
  const parts = { run, seats, stage, width, frames, most, leastGroups };
  const deposits = recovery === undefined ? {} : { recovery };
  return new Keeper({ ...parts, ...deposits, identity, keys, secret });
}

function openGroup(
  { run, options, frames, blur }: LocalShardedSetup,
  group: string,
  { own, seats, front, head, relay }: Outer & { own: Participant; seats: Seats; relay: LocalRelay },
): Member {
  const { identity, keys } = own;
  const send = (frame: Uint8Array) => relay.carry(frame);
  const blurred = blur === undefined ? {} : { blur: blur(group) };
  const member = new ShardedGroup({
    ...{ run, identity, keys, seats, front, head, frames, send, width: options.width },
    ...blurred,
  });
  relay.join(identity.publicKey, async (frame) => {
    member.receive(frame);
    return [];
  });
  return { id: identity.publicKey, member };
}

async function trainMember(
  member: ShardedGroup,
  learningRates: readonly number[],
  batchOf: (step: number) => Batch,
): Promise<OuterTrained> {
  const before = member.traffic;
  let loss = 0;
  for (const [step, rate] of learningRates.entries()) {
    loss += (await member.step(batchOf(step), step, rate)) / learningRates.length;
  }
  const { sent, received } = member.traffic;
  const traffic = { sent: sent - before.sent, received: received - before.received };
  return { ...member.parameters(), loss, traffic };
}

/**
 * Keepers, groups and relay of a sharded run in one process, each with nothing but what it would have on a machine of its own: they exchange sealed frames only.
 * For simulations, benchmarks and tests; the process as a whole has the model.
 */
export class LocalShardedRun {
  readonly seats: Seats;
  /** In the order of their seats. */
  readonly standbys: readonly Keeper[];
  readonly #all: readonly Keeper[];
  #keepers: readonly Keeper[];
  #keeping: Keeping;
  readonly #relay: LocalRelay;
  readonly #groups: Members;
  readonly #outer: Outer;

  private constructor(
    relay: LocalRelay,
    seats: Seats,
    { keepers, standbys }: { readonly keepers: readonly Keeper[]; readonly standbys: readonly Keeper[] },
    groups: Members,
    outer: Outer,
  ) {
    this.#relay = relay;
    this.seats = seats;
    this.#all = [...keepers, ...standbys];
    this.#keepers = keepers;
    this.standbys = standbys;
    this.#keeping = firstKeeping(seats);
    this.#groups = groups;
    this.#outer = outer;
  }

  /** Errors: ENGINE_FAILED, STAGE_TAKEN. */
  static async open(setup: LocalShardedSetup): Promise<LocalShardedRun> {
    const { options, featureWidth, optimizer, secretOf, standbys: stages = [] } = setup;
    const parts = stagedParts(stagedLayout(options, featureWidth), options);
    const named = (name: string) => participant(secretOf(name));
    const keeping = parts.stages.map((_, index) => named(`keeper ${index}`));
    const standing = stages.map((_, index) => named(`standby ${index}`));
    const grouped = setup.groups.map((group) => named(`group ${group}`));
    const seatOf = ({ identity, keys }: Participant) => takeSeat(setup.run, identity, keys.publicKey);
    const standbys = standing.map((one, index) => ({ stage: stages[index]!, seat: seatOf(one) }));
    const seats: Seats = { keepers: keeping.map(seatOf), standbys, groups: grouped.map(seatOf) };
    const relay = new LocalRelay(setup.seen);
    const opened = (own: Participant, index: number) =>
      openKeeper(setup, { own, seats, index, layout: parts.stages[index]! });
    const keepers = await Promise.all(keeping.map(opened));
    const others = await Promise.all(standing.map((own, index) => opened(own, stages[index]!)));
    for (const [index, { identity }] of [...keeping, ...standing].entries()) {
      const keeper = [...keepers, ...others][index]!;
      relay.join(identity.publicKey, (frame) => keeper.receive(frame));
    }
    const opening = (layout: ParameterLayout) => {
      return { options, layout, parameters: new Float32Array(layout.size), optimizer };
    };
    const front = await Front.open(opening(parts.front), featureWidth);
    const head = await Head.open(opening(parts.head), featureWidth);
    const members = grouped.map((own, index) =>
      openGroup(setup, setup.groups[index]!, { own, seats, front, head, relay }),
    );
    const entries = setup.groups.map((group, index) => [group, members[index]!] as const);
    const all = { keepers, standbys: others };
    return new LocalShardedRun(relay, seats, all, new Map(entries), { front, head });
  }

  /** Who keeps each stage now, in order. */
  get keepers(): readonly Keeper[] {
    return this.#keepers;
  }

  /** Who stands by takes over its stage: all are told. Errors: ROUND_REFUSED where it never had it. */
  async replaceBy(standby: number): Promise<void> {
    const { stage, seat } = this.seats.standbys[standby]!;
    const keeping = this.#keeping.map((id, index) => (index === stage ? seat.id : id));
    const others = this.#keepers.filter((_, index) => index !== stage);
    const taking = this.standbys[standby]!;
    for (const keeper of [...others, taking]) await keeper.appoint(keeping);
    this.#keeping = keeping;
    this.#keepers = this.#keepers.map((keeper, index) => (index === stage ? taking : keeper));
  }

  /** All stages are told to those who stand by for them. */
  async share(): Promise<void> {
    const frames = await Promise.all(this.#keepers.map((keeper) => keeper.share()));
    for (const frame of frames.flat()) await this.#relay.carry(frame);
  }

  get epoch(): number {
    return this.keepers[0]!.epoch;
  }

  /** Trains some groups for a round, all at once; what comes of it, in their order. Errors: those of the parts, ROUND_REFUSED, FRAME_REFUSED. */
  async train({ groups, outer, batchOf, ...order }: LocalRound): Promise<OuterTrained[]> {
    const { round, attempt, learningRates } = order;
    const members = groups.map((group) => this.#group(group));
    const ids = members.map(({ id }) => id);
    await Promise.all(this.keepers.map((keeper) => keeper.begin({ ...order, groups: ids })));
    for (const { member } of members)
      member.begin({ epoch: this.epoch, keeping: this.#keeping, round, attempt, ...outer });
    const trained = members.map(({ member }, index) =>
      trainMember(member, learningRates, (step) => batchOf(groups[index]!, step)),
    );
    try {
      return await Promise.all(trained);
    } catch (thrown) {
      for (const { member } of members) member.giveUp();
      await Promise.allSettled(trained);
      throw thrown;
    }
  }

  /** Takes over the front and head that all groups predict with, until the next round. */
  beginPredictions(outer: LocalRound['outer']): void {
    for (const { member } of this.#groups.values()) {
      member.begin({ epoch: this.epoch, keeping: this.#keeping, round: 0, attempt: 0, ...outer });
    }
  }

  /** What the model predicts for a group's task, [T]. */
  predict(group: string, batch: Batch): Promise<Floats> {
    return this.#group(group).member.predict(batch);
  }

  /** Begins a new epoch; false where the stages did not fit afterwards and went back. */
  morph(): Promise<boolean> {
    const carry = (frame: Uint8Array) => this.#relay.carry(frame);
    const standing = this.#all.filter((keeper) => !this.#keepers.includes(keeper));
    return morphStages(this.#keepers, { carry, standbys: standing });
  }

  /** What each keeper has, to go on from. */
  memory(): readonly KeeperMemory[] {
    return this.keepers.map((keeper) => keeper.memory());
  }

  async restore(memory: readonly KeeperMemory[]): Promise<void> {
    await Promise.all(this.keepers.map((keeper, index) => keeper.restore(memory[index]!)));
  }

  async close(): Promise<void> {
    const { front, head } = this.#outer;
    await Promise.all([...this.#all, front, head].map((part) => part.close()));
  }

  #group(name: string) {
    const found = this.#groups.get(name);
    invariant(found !== undefined, `no group ${name}`);
    return found;
  }
}
