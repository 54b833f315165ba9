import { AggregatorApi } from '../../src/client/api.ts';
import type { LocalWork } from '../../src/client/local-training.ts';
import { Participant } from '../../src/client/participate.ts';
import { retryWith } from '../../src/client/retry.ts';
import type { Transport } from '../../src/client/transport.ts';
import { type RandomStream, randomStream } from '../../src/core/random.ts';
import { none } from '../../src/privacy/none.ts';
import { fedavg } from '../../src/strategy/fedavg.ts';
import { makeUpdate } from '../../src/training/make-update.ts';
import type { Identity } from '../../src/wire/identity.ts';
import type { RunDefinition } from '../../src/wire/run-definition.ts';
import type { Model, Update } from '../../src/wire/stages.ts';
import { identityOfFake, Killed, MemoryStore } from '../client/fake-group.ts';
import { SHAPE } from './protected-round.ts';
import type { VirtualTime } from './virtual-time.ts';

/** Training that takes no time: a function of group, round and model. */
export function fakeUpdateOf(group: string, round: number, model: Model, score: number | null): Update {
  const random = randomStream(round, 'update', group, model.digest);
  const received = model.parameters;
  const trained = received.map((value) => value + random.normal() / 10);
  return makeUpdate({ group, round, weight: 1 + random.below(50), received, trained, score, rows: null });
}

function workOf(group: string): LocalWork {
  return {
    protection: none.create({}, SHAPE),
    strategy: fedavg.create({}),
    update: async ({ round }, model, score) => ({
      update: fakeUpdateOf(group, round, model, score),
      loss: 1 / round,
    }),
    score: async ({ round }) => ({ alignment: 0.5 + round / 100, questions: 7 }),
    exportModel: ({ digest }) => Buffer.from(digest),
    close: async () => undefined,
  };
}

/** How often a group is killed, and what it does then. */
export interface GroupRates {
  /** Chance per request, before it is sent and again when its answer is there. */
  readonly kill: number;
  /** Chance of a process that it dies at one of its first writes. */
  readonly killInWrite: number;
  readonly restartMs: number;
  /** Chances of a killed group to stay away for long, and to leave the run and join it again. */
  readonly away: number;
  readonly leave: number;
  readonly awayMs: number;
}

const WRITES = 12;
/** The client asks again after a quarter of a second; who waits longer does nothing wrong, and takes fewer steps. */
const SLOWEST_POLL_MS = 20_000;
const CLOCK_SKEW_MS = 3_600_000;

export interface GroupOptions {
  readonly group: string;
  readonly seed: number;
  readonly token: string;
  readonly run: string;
  readonly aggregatorKey: string;
  readonly rates: GroupRates;
  readonly line: Transport;
  readonly tellScores: boolean;
}

/** The real client of one group in processes that are killed; all but their store is lost. */
export class MortalGroup {
  readonly store: MemoryStore;
  kills = 0;
  leaves = 0;
  readonly #options: GroupOptions;
  readonly #time: VirtualTime;
  readonly #identity: Identity;
  readonly #random: RandomStream;
  readonly #skewMs: number;
  /** What `group join` stores. */
  #definition: RunDefinition | null = null;

  constructor(options: GroupOptions, time: VirtualTime) {
    const { group, seed } = options;
    this.#options = options;
    this.#time = time;
    this.store = new MemoryStore(group);
    this.#identity = identityOfFake(group);
    this.#random = randomStream(seed, 'group', group);
    this.#skewMs = CLOCK_SKEW_MS * (2 * this.#random.uniform() - 1);
  }

  get group(): string {
    return this.#options.group;
  }

  get publicKey(): string {
    return this.#identity.publicKey;
  }

  /** One process after the other, until the run is over. */
  async live(): Promise<void> {
    for (;;) {
      try {
        return await this.#process();
      } catch (thrown) {
        if (!(thrown instanceof Killed)) throw thrown;
        this.kills++;
      }
      await this.#rest();
    }
  }

  async #process(): Promise<void> {
    const { killInWrite } = this.#options.rates;
    const dies = this.#random.uniform() < killInWrite;
    this.store.left = dies ? this.#random.below(WRITES) : Number.POSITIVE_INFINITY;
    const { group, token, aggregatorKey, run, tellScores } = this.#options;
    const retry = retryWith({
      patienceMs: Number.POSITIVE_INFINITY,
      sleep: (ms) => this.#time.sleep(ms),
      random: () => this.#random.uniform(),
    });
    const clock = { now: () => this.#time.now() + this.#skewMs };
    const common = { transport: this.#transport(), identity: this.#identity, aggregatorKey, run, retry };
    const api = new AggregatorApi({ ...common, clock });
    if (this.#definition === null) this.#definition = (await api.join({ group, token })).definition;
    const participant = new Participant({
      api,
      retry,
      store: this.store,
      work: workOf(group),
      definition: this.#definition,
      aggregatorKey,
      group,
      identity: this.#identity,
      tellScores,
      leastGroups: 1,
      knownPeers: null,
      emit: () => undefined,
      sleep: (ms) => this.#time.sleep(ms + this.#random.below(SLOWEST_POLL_MS)),
    });
    if (this.#random.uniform() < this.#options.rates.leave && this.kills > 0) await this.#leave(api);
    await participant.watch();
  }

  /** Leaves and comes back after a while, under the same key. */
  async #leave(api: AggregatorApi): Promise<void> {
    this.leaves++;
    await api.leave();
    this.#definition = null;
    await this.#time.sleep(this.#options.rates.awayMs * this.#random.uniform());
    throw new Killed();
  }

  /** The line, at whose ends the process may die. */
  #transport(): Transport {
    const { line, rates } = this.#options;
    const mayDie = () => {
      if (this.#random.uniform() < rates.kill) throw new Killed();
    };
    return async (request) => {
      mayDie();
      const answer = await line(request);
      mayDie();
      return answer;
    };
  }

  async #rest(): Promise<void> {
    const { restartMs, away, awayMs } = this.#options.rates;
    const longest = this.#random.uniform() < away ? awayMs : restartMs;
    await this.#time.sleep(longest * this.#random.uniform());
  }
}
