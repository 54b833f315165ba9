import { join } from 'node:path';
import { KeeperHome } from '../../src/client/sharding/keeper-home.ts';
import { type KeeperApi, type KeeperEvent, KeeperService } from '../../src/client/sharding/keeper-service.ts';
import { KeeperTrainer } from '../../src/client/sharding/keeper-trainer.ts';
import type { LinkStore, ShardedApi } from '../../src/client/sharding/means.ts';
import { shardedPlan } from '../../src/client/sharding/sharded-plan.ts';
import { asStage } from '../../src/core/brand.ts';
import { PluralError } from '../../src/core/errors.ts';
import { keyPairOf } from '../../src/privacy/secure-sum/key-agreement.ts';
import { type CourseOptions, Course as RunCourse, type Wanted } from '../../src/server/relay/course.ts';
import type { CrewMemory } from '../../src/server/relay/crew.ts';
import { RunRelay } from '../../src/server/relay/run-relay.ts';
import { newestOf } from '../../src/sharding/deposits/newest.ts';
import { readDeposit } from '../../src/sharding/deposits/stage-deposit.ts';
import { parseGreeting } from '../../src/sharding/frames/greeting.ts';
import { parseFrame } from '../../src/sharding/frames/sealed-frame.ts';
import { type Newcomer, type Seats, takeSeat } from '../../src/sharding/frames/seats.ts';
import type { GroupLinks } from '../../src/sharding/group/sharded-group.ts';
import { planOf } from '../../src/simulate/run-plan.ts';
import { type Identity, identityOf } from '../../src/wire/identity.ts';
import { type RunDefinition, runDigest } from '../../src/wire/run-definition.ts';
import type { FrameHeader } from '../../src/wire/shard-frame.ts';
import type { Course } from '../../src/wire/sharding.ts';
import type { DepositHeader } from '../../src/wire/stage-deposit.ts';
import { keyOf } from './sharding.ts';
import { tinyExperiment } from './tiny-experiment.ts';

const STAGED = {
  name: 'staged',
  stages: 3,
  layersPerStage: 1,
  width: 8,
  heads: 2,
  feedforward: 8,
  embedderLayers: 2,
};
/** Long for keepers and groups in one process, short for who waits for somebody that is lost. */
const PATIENCE_MS = 1500;

/** How a world is unlike others. */
export interface WorldOptions {
  readonly overrides?: readonly string[];
  readonly patienceMs?: number;
  /** Groups that are there when the run begins; left out: all three. */
  readonly seated?: number;
}

interface Person {
  readonly identity: Identity;
  readonly secret: Uint8Array;
}

function person(name: string): Person {
  const identity = identityOf(Buffer.from(keyOf('identity', name)).toString('hex'));
  return { identity, secret: keyOf('seat', name) };
}

/** Where a test keeps a group's links. */
export class MemoryLinks implements LinkStore {
  readonly #secret: Uint8Array;
  links: GroupLinks | null = null;

  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  seatSecret(): Uint8Array | null {
    return this.links === null ? this.#secret : null;
  }

  loadLinks(): GroupLinks | null {
    return this.links;
  }

  saveLinks(links: GroupLinks): void {
    this.links = links;
  }
}

/** A keeper at work: what it said, and how it is stopped. */
export interface ServingKeeper {
  readonly events: KeeperEvent[];
  /** Ends with INTERRUPTED, as when its process is stopped. */
  stop(): Promise<void>;
}

/**
 * A sharded run of three groups in one process, with the relay, the course, keepers and groups as they are deployed, and requests as calls: what goes over HTTP otherwise is handed over.
 * `standbys`: stages that somebody stands by for.
 */
export class ShardedWorld {
  readonly definition: RunDefinition;
  readonly seats: Seats;
  readonly experiment;
  readonly troubles: string[] = [];
  /** What the run wants trained. */
  wanted: Wanted | null = null;
  memory: CrewMemory | null = null;
  /** What keepers left with the aggregator, as it keeps it. */
  deposits: readonly { readonly header: DepositHeader; readonly bytes: Uint8Array }[] = [];
  relay: RunRelay;
  /** Whether a frame reaches the relay, and when: a test keeps some away. */
  isSent: (header: FrameHeader) => boolean | Promise<boolean> = () => true;
  /** What somebody is told of the seats: a test has the aggregator name others to him. */
  named: (id: string, told: RunRelay['told']) => RunRelay['told'] = (_, told) => told;
  /** What somebody is told of the course: a test has the aggregator lie. */
  told: (id: string, course: Course) => Course = (_, course) => course;
  readonly #patienceMs: number;
  readonly #folder: string;
  readonly #keepers: Person[];
  /** Who came after the run began. */
  readonly #newcomers: Newcomer[] = [];
  readonly #groups: readonly Person[];
  readonly #links: readonly MemoryLinks[];
  #stopCourse = new AbortController();
  #course: Promise<void>;

  constructor(
    folder: string,
    standbys: readonly number[] = [],
    { overrides = [], patienceMs = PATIENCE_MS, seated = 3 }: WorldOptions = {},
  ) {
    this.#folder = folder;
    this.#patienceMs = patienceMs;
    const settings = [
      `predictor=${JSON.stringify(STAGED)}`,
      `sharding={ epochRounds: 2, standbys: ${standbys.length}, lateKeepers: 2 }`,
      'protection=none',
      'round.quorum=2',
    ];
    const tiny = tinyExperiment(3, ...settings, ...overrides);
    this.experiment = { ...tiny, features: { ...tiny.features, digest: 'ab'.repeat(32) } };
    this.definition = { format: 1, run: 'tiny', nonce: '0'.repeat(32), plan: planOf(this.experiment) };
    const stages = shardedPlan(this.definition).options.stages;
    const first = Array.from({ length: stages }, (_, stage) => person(`keeper ${stage}`));
    const others = standbys.map((_, index) => person(`standby ${index}`));
    this.#keepers = [...first, ...others];
    this.#groups = ['a', 'b', 'c'].map((name) => person(`group ${name}`));
    this.#links = this.#groups.map(({ secret }) => new MemoryLinks(secret));
    this.seats = {
      keepers: first.map((one) => this.#seatOf(one)),
      standbys: others.map((one, index) => ({ stage: standbys[index]!, seat: this.#seatOf(one) })),
      groups: this.#groups.slice(0, seated).map((one) => this.#seatOf(one)),
    };
    this.relay = this.#newRelay();
    this.#course = this.#run();
  }

  #seatOf({ identity, secret }: Person) {
    return takeSeat(this.digest, identity, keyPairOf(secret).publicKey);
  }

  #newRelay(): RunRelay {
    const relay = new RunRelay(this.digest, this.seats, Date);
    relay.admit([...this.#newcomers]);
    return relay;
  }

  /** A group takes a seat after the run began. */
  admitGroup(group: number): void {
    this.#newcomers.push({ seat: this.#seatOf(this.#groups[group]!), stage: null });
    this.relay.admit([...this.#newcomers]);
  }

  /** A keeper takes a seat after the run began; the number that it is served by. */
  admitKeeper(stage: number): number {
    const late = person(`late ${this.#newcomers.length}`);
    this.#newcomers.push({ seat: this.#seatOf(late), stage });
    this.relay.admit([...this.#newcomers]);
    return this.#keepers.push(late) - 1;
  }

  get digest(): string {
    return runDigest(this.definition);
  }

  /** The aggregator's process is another one: nothing of the relay and the course is left. */
  async restart(): Promise<void> {
    await this.stop();
    this.#stopCourse = new AbortController();
    this.relay = this.#newRelay();
    this.#course = this.#run();
  }

  /** Ends relay and course. */
  async stop(): Promise<void> {
    this.#stopCourse.abort();
    this.relay.changed();
    await this.#course;
  }

  /** What somebody asks of the aggregator. */
  apiOf(id: string): ShardedApi & KeeperApi {
    return {
      seats: async () => this.named(id, this.relay.told),
      leaveDeposit: async (bytes) => this.#take(bytes),
      deposit: async (stage, id) => {
        const found = this.deposits.find(({ header }) => header.stage === stage && header.id === id);
        if (found === undefined) throw new PluralError('DEPOSIT_REFUSED', 'there is none of this id');
        return found.bytes;
      },
      relay: async ({ frames, ...relayed }) => {
        const sent: typeof frames = [];
        for (const frame of frames) {
          if (parseGreeting(frame) !== null || (await this.isSent(parseFrame(frame).header)))
            sent.push(frame);
        }
        this.relay.take(id, { ...relayed, frames: sent });
      },
      inbox: async (query, signal) => {
        const { relay } = this;
        const stop = AbortSignal.any([signal, this.#stopCourse.signal]);
        const inbox = await relay.inbox(id, query, stop);
        if (signal.aborted) throw new PluralError('INTERRUPTED', 'stopped');
        const { course } = inbox;
        return { ...inbox, course: course === null ? null : this.told(id, course) };
      },
      task: async () =>
        ({ phase: 'collecting', round: this.wanted?.round, attempt: this.wanted?.opening }) as never,
    };
  }

  homeOf(index: number): KeeperHome {
    return new KeeperHome(join(this.#folder, `keeper-${index}`));
  }

  /** Starts a keeper, or starts it again from its folder; those behind the first three stand by. */
  serve(index: number): ServingKeeper {
    const { identity, secret } = this.#keepers[index]!;
    const home = new FixedHome(join(this.#folder, `keeper-${index}`), identity, secret, this.definition);
    const control = new AbortController();
    const events: KeeperEvent[] = [];
    const emit = (event: KeeperEvent) => void events.push(event);
    const api = this.apiOf(identity.publicKey);
    const serving = KeeperService.serve({ api, home, signal: control.signal, emit }).catch(
      (thrown) => thrown,
    );
    const stop = async () => {
      control.abort();
      const thrown = await serving;
      if (!(thrown instanceof PluralError) || thrown.code !== 'INTERRUPTED') throw thrown;
    };
    return { events, stop };
  }

  /** Where a group has its links. */
  links(group: number): MemoryLinks {
    return this.#links[group]!;
  }

  /** A group's side, or that of one that was there before, which has its links. */
  trainer(group: number): KeeperTrainer {
    const { identity } = this.#groups[group]!;
    const { survey, ...rest } = this.experiment;
    const name = survey.groups[group]!.id;
    const own = asStage<'Survey', object>({
      ...survey,
      groups: [survey.groups[group]!],
      answers: [survey.answers[group]!],
    }) as typeof survey;
    const prepared = { ...rest, survey: own, usable: survey.answers[group]!.length };
    const local = {
      definition: this.definition,
      group: name,
      answers: own,
      featuresPath: null,
      device: 'cpu',
      warn: () => undefined,
    };
    const api = this.apiOf(identity.publicKey);
    const signal = new AbortController().signal;
    return new KeeperTrainer(prepared, local, {
      api,
      identity,
      links: this.links(group),
      keepers: null,
      signal,
    });
  }

  /** What a round wants trained, of some groups. */
  round(round: number, groups: readonly number[] = [0, 1, 2], opening = 1): Wanted {
    const ids = groups.map((group) => this.#groups[group]!.identity.publicKey);
    const { localSteps } = this.experiment.config.training;
    const learningRates = Array.from({ length: localSteps }, () => 0.01);
    return { round, opening, groups: ids, leastGroups: this.definition.plan.quorum, learningRates };
  }

  #take(bytes: Uint8Array): void {
    const { header } = readDeposit(bytes);
    const own = [...this.deposits.filter((one) => one.header.stage === header.stage), { header, bytes }];
    const kept = newestOf(own.map((one) => ({ ...one, ...one.header })));
    const others = this.deposits.filter((one) => one.header.stage !== header.stage);
    this.deposits = [...others, ...kept.reverse().map((one) => ({ header: one.header, bytes: one.bytes }))];
  }

  #run(): Promise<void> {
    const { recovery } = shardedPlan(this.definition).sharding;
    const stored = async () => this.deposits.map(({ header }) => header);
    const options: CourseOptions = {
      relay: this.relay,
      epochRounds: 2,
      patienceMs: this.#patienceMs,
      wanted: async () => this.wanted,
      store: {
        load: async () => this.memory,
        save: async (memory) => {
          this.memory = memory;
        },
      },
      clock: Date,
      signal: this.#stopCourse.signal,
      onTrouble: (message) => void this.troubles.push(message),
      ...(recovery === 0 ? {} : { deposits: { threshold: recovery, stored } }),
    };
    return RunCourse.run(options);
  }
}

/** A keeper's folder of which the test knows key and seat. */
class FixedHome extends KeeperHome {
  readonly #identity: Identity;
  readonly #secret: Uint8Array;
  readonly #definition: RunDefinition;

  constructor(folder: string, identity: Identity, secret: Uint8Array, definition: RunDefinition) {
    super(folder);
    this.#identity = identity;
    this.#secret = secret;
    this.#definition = definition;
  }

  override identity(): Identity {
    return this.#identity;
  }

  override membership(): ReturnType<KeeperHome['membership']> {
    const place = {
      url: 'http://127.0.0.1:1',
      run: 'tiny',
      aggregatorKey: this.#identity.publicKey,
      ca: null,
    };
    return { format: 1, ...place, definition: this.#definition, stage: 0, standby: false, keepers: null };
  }

  override seatSecrets() {
    const agreement = Buffer.from(this.#secret).toString('hex');
    return { agreement, own: Buffer.from(keyOf('own', this.#identity.publicKey)).toString('hex') };
  }
}
