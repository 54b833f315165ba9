import { PluralError } from '../../core/errors.ts';
import { type AggregatorState, digestFrom } from '../../round/aggregator-state.ts';
import { learningRateAt } from '../../training/schedule.ts';
import type { Aggregator } from '../aggregator.ts';
import { currentRound } from '../collections.ts';
import { depositsOf } from '../deposits.ts';
import { unknownRun } from '../locked-run.ts';
import type { OpenPlan, PlanCache } from '../plan.ts';
import { planOf } from '../runs.ts';
import { seatsOf } from '../seat-rows.ts';
import { Course, type Wanted } from './course.ts';
import type { CrewMemory } from './crew.ts';
import { RunRelay } from './run-relay.ts';

type Sharded = OpenPlan['config'] & { readonly sharding: NonNullable<OpenPlan['config']['sharding']> };

/** Errors: CONFIG_CONFLICT. */
function shardedConfig(run: string, { config }: OpenPlan): Sharded {
  const { sharding } = config;
  if (sharding !== null) return { ...config, sharding };
  throw new PluralError('CONFIG_CONFLICT', `run "${run}" has no keepers, and no relay`, {
    hint: 'Only a run with "sharding" in its configuration has one.',
  });
}

/** Learning rate of each local step of a round. */
function learningRates({ training }: Sharded, round: number): number[] {
  const { localSteps, rounds, schedule, learningRate, warmupSteps, cosineSteps } = training;
  const options = { schedule, learningRate, warmupSteps, cosineSteps };
  const first = (round - 1) * localSteps;
  return Array.from({ length: localSteps }, (_, step) =>
    learningRateAt(first + step, rounds * localSteps, options),
  );
}

/** What the training of a run follows from. */
interface Planned {
  readonly config: Sharded;
  readonly protection: OpenPlan['protection'];
}

/** Asks what training a run waits for, until it is over for good. */
function wantedBy(aggregator: Aggregator, run: string, planned: Planned): () => Promise<Wanted | null> {
  let over = false;
  return async () => {
    if (over) return null;
    const { state } = await currentRound(aggregator, run);
    over = state.phase === 'finished' || state.phase === 'stopped';
    return wantedIn(aggregator, run, state, planned);
  };
}

/** The training of a run in a state: in the step that carries the updates, of those who have not sent theirs. */
async function wantedIn(
  aggregator: Aggregator,
  run: string,
  state: AggregatorState,
  { config, protection }: Planned,
): Promise<Wanted | null> {
  const { phase, step, round, attempt: opening, asked } = state;
  if (phase !== 'collecting' || step !== protection.updateStep) return null;
  const names = asked.filter((group) => digestFrom(state, step, group) === undefined);
  const rows = await aggregator.db
    .selectFrom('members')
    .select(['group_id', 'public_key'])
    .where('run', '=', run)
    .execute();
  const keys = new Map(rows.map((row) => [row.group_id, row.public_key]));
  const groups = names.flatMap((name) => keys.get(name) ?? []);
  return { round, opening, groups, leastGroups: state.quorum, learningRates: learningRates(config, round) };
}

/** Where the run's row says who keeps its stages. */
function crewIn({ db }: Aggregator, run: string) {
  return {
    load: async () => {
      const row = await db.selectFrom('runs').select('crew').where('id', '=', run).executeTakeFirst();
      return row?.crew ?? null;
    },
    save: async (memory: CrewMemory) => {
      await db
        .updateTable('runs')
        .set({ crew: JSON.stringify(memory) })
        .where('id', '=', run)
        .execute();
    },
  };
}

/** The relays of the sharded runs that somebody asks this process for, each with the course of its run. */
export class Relays {
  readonly #aggregator: Aggregator;
  readonly #plans: PlanCache;
  readonly #stop = new AbortController();
  readonly #relays = new Map<string, Promise<RunRelay>>();
  readonly #courses: Promise<void>[] = [];

  constructor(aggregator: Aggregator, plans: PlanCache) {
    this.#aggregator = aggregator;
    this.#plans = plans;
  }

  /** Ends what waits. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** The relay of a run; null before the run begins. Errors: CONFIG_CONFLICT, AGGREGATOR_UNKNOWN_RUN. */
  async of(run: string): Promise<RunRelay | null> {
    const open = this.#relays.get(run);
    if (open !== undefined) return open;
    const row = await this.#aggregator.db
      .selectFrom('runs')
      .select(['phase', 'digest'])
      .where('id', '=', run)
      .executeTakeFirst();
    if (row === undefined) throw unknownRun(run);
    if (row.phase === 'waiting') return null;
    const relay = this.#relays.get(run) ?? this.#open(run, row.digest);
    this.#relays.set(run, relay);
    relay.catch(() => this.#relays.delete(run));
    return relay;
  }

  /** Tells those who are there of who came since the run began. */
  async refresh(run: string): Promise<void> {
    const relay = await this.#relays.get(run);
    if (relay !== undefined) relay.admit((await seatsOf(this.#aggregator.db, run)).newcomers);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#courses);
  }

  /** What the course of a run knows of deposits; nothing where the run has none. */
  #depositsOf(run: string, threshold: number) {
    const stored = () => depositsOf(this.#aggregator.db, run);
    return threshold === 0 ? {} : { deposits: { threshold, stored } };
  }

  async #open(run: string, digest: string): Promise<RunRelay> {
    const { clock, db, observe } = this.#aggregator;
    const { config, protection } = await planOf(this.#aggregator, this.#plans, run).then((plan) => ({
      config: shardedConfig(run, plan),
      protection: plan.protection,
    }));
    const { seats, newcomers } = await seatsOf(db, run);
    const relay = new RunRelay(digest, seats, clock);
    relay.admit(newcomers);
    const course = Course.run({
      relay,
      clock,
      signal: this.#stop.signal,
      epochRounds: config.sharding.epochRounds,
      patienceMs: 1000 * config.sharding.patienceSeconds,
      wanted: wantedBy(this.#aggregator, run, { config, protection }),
      store: crewIn(this.#aggregator, run),
      ...this.#depositsOf(run, config.sharding.recovery),
      onTrouble: (message) => {
        const error = new PluralError('ROUND_FAILED', message);
        observe({ type: 'failed', what: `the training of run "${run}"`, error });
      },
    });
    this.#courses.push(course);
    return relay;
  }
}
