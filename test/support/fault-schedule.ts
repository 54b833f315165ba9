import type { TransportAnswer, TransportRequest } from '../../src/client/transport.ts';
import { randomStream } from '../../src/core/random.ts';
import type { AggregatorState } from '../../src/round/aggregator-state.ts';
import { invite } from '../../src/server/invitations.ts';
import { createRun } from '../../src/server/runs.ts';
import { submissionRequestSchema } from '../../src/wire/http.ts';
import type { ModelRecord } from '../../src/wire/model-record.ts';
import type { RunDefinition } from '../../src/wire/run-definition.ts';
import { FaultNetwork, type FaultRates } from './fault-network.ts';
import { type Death, MortalAggregator, type Stores } from './mortal-aggregator.ts';
import { type GroupRates, MortalGroup } from './mortal-group.ts';
import { tinyPlan } from './test-aggregator.ts';
import { VirtualTime } from './virtual-time.ts';

/** All that may go wrong in a run, drawn from a seed. */
export interface Schedule {
  readonly seed: number;
  readonly groups: readonly string[];
  readonly rounds: number;
  readonly quorum: number;
  readonly deadlineMs: number;
  readonly chunkBytes: number;
  readonly tellScores: boolean;
  readonly network: FaultRates;
  readonly group: GroupRates;
  readonly deaths: readonly Death[];
}

const NAMES = ['ada', 'bo', 'cy', 'di', 'ed'];
const DAY_MS = 86_400_000;

/** The schedule of a seed. Every second waits for all groups and can end in one way only. */
export function scheduleOf(seed: number): Schedule {
  const random = randomStream(seed, 'schedule');
  const upTo = (most: number) => most * random.uniform();
  const count = 3 + Math.min(random.below(3), random.below(3));
  const waitsForAll = seed % 2 === 0;
  const deaths = Array.from({ length: random.below(4) }, (): Death => {
    const after = ([null, 'uploaded', 'folding', 'publishing'] as const)[random.below(4)]!;
    return {
      after,
      nth: 1 + random.below(after === 'uploaded' ? 2 * count : 2),
      operations: random.below(after === null ? 500 : 25),
      downMs: upTo(15_000),
      losesPower: random.uniform() < 0.5,
    };
  });
  return {
    seed,
    groups: NAMES.slice(0, count),
    rounds: 2 + Math.min(random.below(3), random.below(3)),
    quorum: waitsForAll ? count : 1 + random.below(count - 1),
    deadlineMs: waitsForAll ? DAY_MS : 30_000 + Math.round(upTo(100_000)),
    chunkBytes: [250, 2 ** 20, 2 ** 20][random.below(3)]!,
    tellScores: random.uniform() < 0.3,
    network: {
      lostRequest: upTo(0.12),
      lostAnswer: upTo(0.12),
      cutAnswer: upTo(0.06),
      duplicate: upTo(0.2),
      stall: upTo(0.05),
      delayMs: 50 + upTo(400),
    },
    group: {
      kill: upTo(0.02),
      killInWrite: upTo(0.6),
      restartMs: upTo(5000),
      away: waitsForAll ? 0 : upTo(0.4),
      leave: waitsForAll ? 0 : upTo(0.2),
      awayMs: 400_000,
    },
    deaths,
  };
}

/** The same run where nothing goes wrong. */
export function calm(schedule: Schedule): Schedule {
  const network = { lostRequest: 0, lostAnswer: 0, cutAnswer: 0, duplicate: 0, stall: 0, delayMs: 200 };
  const group = { kill: 0, killInWrite: 0, restartMs: 0, away: 0, leave: 0, awayMs: 0 };
  return { ...schedule, network, group, deaths: [] };
}

/** A submission that the aggregator said yes to. */
export interface Acknowledged {
  readonly group: string;
  readonly round: number;
  readonly digest: string;
}

/** What is left when the run is over. */
export interface Played {
  readonly definition: RunDefinition;
  readonly digest: string;
  readonly aggregatorKey: string;
  readonly state: AggregatorState;
  readonly records: readonly ModelRecord[];
  /** Submissions that the database lists. */
  readonly listed: readonly Acknowledged[];
  /** Said yes to, and not made void by opening their round again. */
  readonly acknowledged: readonly Acknowledged[];
  /** Events of the run, in order. */
  readonly events: readonly { readonly type: string; readonly round: number | null }[];
  readonly groups: readonly MortalGroup[];
  readonly network: FaultNetwork;
  readonly deaths: readonly Death[];
  /** How often a failed round was opened again. */
  readonly reopened: number;
  /** What must not be: see MortalAggregator. */
  readonly faults: readonly string[];
}

const CHORES_EVERY_MS = 10_000;
const CLEANING_EVERY = 4;
const MOST_JUMPS = 20_000;

/** Plays one schedule over stores that may hold other runs. */
class Play {
  readonly #schedule: Schedule;
  readonly #time = new VirtualTime();
  readonly #aggregator: MortalAggregator;
  readonly #network: FaultNetwork;
  #acknowledged: Acknowledged[] = [];
  #groups: MortalGroup[] = [];
  #run = '';
  #choresAt = 0;
  #chores = 0;
  #reopened = 0;

  constructor(schedule: Schedule, stores: Stores) {
    const { seed, network: rates, chunkBytes, deaths } = schedule;
    this.#schedule = schedule;
    this.#aggregator = new MortalAggregator(stores, { time: this.#time, chunkBytes, deaths });
    this.#network = new FaultNetwork(this.#time, { seed, rates, answer: (request) => this.#answer(request) });
  }

  async play(): Promise<Played> {
    await this.#prepare();
    let over = false;
    let failure: unknown;
    const lives = this.#groups.map((group) => group.live());
    Promise.all(lives)
      .catch((thrown: unknown) => {
        failure = thrown ?? new Error('a group failed');
      })
      .finally(() => {
        over = true;
      });
    try {
      await this.#time.runUntil(
        () => over,
        () => this.#between(),
        MOST_JUMPS,
      );
      if (failure !== undefined) throw failure;
      return await this.#result();
    } finally {
      await this.#aggregator.close();
    }
  }

  /** The run and its invitations; what is at stake begins when groups join. */
  async #prepare(): Promise<void> {
    const { seed, groups, rounds, quorum, deadlineMs, tellScores } = this.#schedule;
    await this.#aggregator.open();
    const { aggregator } = this.#aggregator.current;
    const plan = tinyPlan({ quorum, deadlineMs }, rounds);
    this.#run = (await createRun(aggregator, { name: `seed-${seed}`, plan })).run;
    const { tokens } = await invite(aggregator, this.#run, {
      group: null,
      count: groups.length,
      expiresInMs: DAY_MS,
    });
    const common = { seed, run: this.#run, aggregatorKey: aggregator.identity.publicKey, tellScores };
    this.#aggregator.arm();
    this.#groups = groups.map((group, index) => {
      const line = this.#network.lineOf(group);
      const options = { ...common, group, token: tokens[index]!, rates: this.#schedule.group, line };
      return new MortalGroup(options, this.#time);
    });
  }

  async #answer(request: TransportRequest): Promise<TransportAnswer> {
    const answer = await this.#aggregator.answer(request);
    if (request.path.endsWith('/submissions') && answer.status === 200) this.#note(request);
    return answer;
  }

  #note({ body, headers }: TransportRequest): void {
    const { round, digest } = submissionRequestSchema.parse(JSON.parse(Buffer.from(body).toString('utf8')));
    this.#acknowledged.push({ group: this.#ownerOf(headers), round, digest });
  }

  #ownerOf(headers: Readonly<Record<string, string>>): string {
    return this.#groups.find(({ publicKey }) => publicKey === headers['pluralllm-key'])!.group;
  }

  /** While nothing else happens: processes are buried and started, chores done, failed rounds opened again. */
  async #between(): Promise<void> {
    await this.#aggregator.revive();
    if (this.#aggregator.dead || this.#time.now() < this.#choresAt) return;
    this.#choresAt = this.#time.now() + CHORES_EVERY_MS;
    await this.#aggregator.chores({ cleaning: this.#chores++ % CLEANING_EVERY === 0 });
    const { phase, round } = await this.#state();
    if (phase !== 'failed') return;
    if (!(await this.#aggregator.administer(`/v1/admin/runs/${this.#run}/start`))) return;
    this.#reopened++;
    this.#acknowledged = this.#acknowledged.filter((acknowledged) => acknowledged.round !== round);
  }

  async #state(): Promise<AggregatorState> {
    const { db } = this.#aggregator.database;
    const { state } = await db
      .selectFrom('runs')
      .select('state')
      .where('id', '=', this.#run)
      .executeTakeFirstOrThrow();
    return state;
  }

  async #result(): Promise<Played> {
    const { db } = this.#aggregator.database;
    const run = this.#run;
    const row = await db
      .selectFrom('runs')
      .select(['definition', 'digest', 'state'])
      .where('id', '=', run)
      .executeTakeFirstOrThrow();
    const models = await db
      .selectFrom('models')
      .select('record')
      .where('run', '=', run)
      .orderBy('round')
      .execute();
    const submissions = await db
      .selectFrom('submissions')
      .select(['group_id as group', 'round', 'digest'])
      .where('run', '=', run)
      .orderBy('round')
      .orderBy('group_id')
      .execute();
    const events = await db
      .selectFrom('events')
      .select(['type', 'data'])
      .where('run', '=', run)
      .orderBy('seq')
      .execute();
    return {
      ...row,
      aggregatorKey: this.#aggregator.current.aggregator.identity.publicKey,
      records: models.map(({ record }) => record),
      listed: submissions,
      acknowledged: this.#acknowledged,
      events: events.map(({ type, data }) => ({
        type,
        round: typeof data['round'] === 'number' ? data['round'] : null,
      })),
      groups: this.#groups,
      network: this.#network,
      deaths: this.#aggregator.deaths,
      reopened: this.#reopened,
      faults: this.#aggregator.faults,
    };
  }
}

/** Plays a schedule to its end. Errors: that of a group which gives up, and one that says that the run is stuck. */
export function playSchedule(schedule: Schedule, stores: Stores): Promise<Played> {
  return new Play(schedule, stores).play();
}
