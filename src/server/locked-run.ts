import { decode, encode } from 'cborg';
import type { Transaction } from 'kysely';
import { PluralError } from '../core/errors.ts';
import {
  type AggregatorEffect,
  type AggregatorMessage,
  outstandingEffects,
  stepAggregator,
} from '../round/aggregator.ts';
import { type AggregatorState, aggregatorStateSchema, repliesNow } from '../round/aggregator-state.ts';
import { type StrategyState, strategyStateSchema } from '../strategy/strategy.ts';
import type { RunDefinition } from '../wire/run-definition.ts';
import type { Aggregator } from './aggregator.ts';
import type { Tables } from './store/tables.ts';

/** The error of a run that is not there. */
export function unknownRun(run: string): PluralError {
  return new PluralError('AGGREGATOR_UNKNOWN_RUN', `this aggregator has no run "${run}"`, {
    hint: 'pluralllm aggregator status lists its runs.',
  });
}

/** A strategy's state as the database keeps it. */
export function storedStrategyState(state: StrategyState): Buffer {
  return Buffer.from(encode(state));
}

/** Reads what `storedStrategyState` wrote. */
export function readStrategyState(bytes: Uint8Array): StrategyState {
  return strategyStateSchema.parse(decode(bytes));
}

/**
 * One run inside a transaction that holds its row: nobody else can change anything of the run until it ends. All
 * changes and the events that tell of them are written together, or not at all.
 */
export class LockedRun {
  readonly tx: Transaction<Tables>;
  readonly definition: RunDefinition;
  readonly digest: string;
  readonly #aggregator: Aggregator;
  #state: AggregatorState;
  #effects: AggregatorEffect[] = [];
  #dropped: string[] = [];

  private constructor(
    aggregator: Aggregator,
    tx: Transaction<Tables>,
    row: { definition: RunDefinition; digest: string; state: AggregatorState },
  ) {
    this.#aggregator = aggregator;
    this.tx = tx;
    this.definition = row.definition;
    this.digest = row.digest;
    this.#state = aggregatorStateSchema.parse(row.state);
  }

  /** Errors: AGGREGATOR_UNKNOWN_RUN. */
  static async open(aggregator: Aggregator, tx: Transaction<Tables>, run: string): Promise<LockedRun> {
    // Not the strategy's state: it can be as long as some models, and only a fold reads it.
    const row = await tx
      .selectFrom('runs')
      .select(['definition', 'digest', 'state'])
      .where('id', '=', run)
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined) throw unknownRun(run);
    return new LockedRun(aggregator, tx, row);
  }

  get run(): string {
    return this.definition.run;
  }

  get state(): AggregatorState {
    return this.#state;
  }

  /** What is to be done after the commit. */
  get effects(): readonly AggregatorEffect[] {
    return this.#effects;
  }

  /** Blobs that nothing refers to any more after the commit. */
  get dropped(): readonly string[] {
    return this.#dropped;
  }

  /** Steps the machine and writes its new state; the effects are told as events and returned. */
  async deliver(message: AggregatorMessage): Promise<readonly AggregatorEffect[]> {
    const { state, effects } = stepAggregator(this.#state, message);
    const changed = state !== this.#state;
    this.#state = state;
    this.#effects.push(...effects);
    if (changed) await this.#store(effects);
    for (const effect of effects) await this.#tell(effect);
    return effects;
  }

  /** A round that is opened, for the first time or again, starts without submissions. */
  async #store(effects: readonly AggregatorEffect[]): Promise<void> {
    const { phase, round } = this.#state;
    const asks = effects.find((effect) => effect.type === 'ask');
    const now = this.#aggregator.clock.now();
    const deadline = asks === undefined ? {} : { deadline_at: now + this.definition.plan.deadlineMs };
    const ended = phase === 'collecting' ? deadline : { deadline_at: null };
    if (asks?.step === 0) {
      const rows = await this.tx
        .deleteFrom('submissions')
        .where('run', '=', this.run)
        .where('round', '=', round)
        .returning('blob')
        .execute();
      this.#dropped.push(...rows.map(({ blob }) => blob));
    }
    await this.tx
      .updateTable('runs')
      .set({ state: JSON.stringify(this.#state), phase, round, ...ended })
      .where('id', '=', this.run)
      .execute();
  }

  async #tell(effect: AggregatorEffect): Promise<void> {
    const { state } = this;
    switch (effect.type) {
      case 'ask':
        return this.event('asked', { round: effect.round, step: effect.step, groups: effect.from.length });
      case 'acknowledge': {
        if (effect.repeated) return;
        const { group, round, step } = effect;
        // The reply that completes a step is counted in the step it belongs to.
        const replied = state.step === step ? repliesNow(state).length : (state.replies[step]?.length ?? 0);
        return this.event('received', { round, step, group, replied, asked: state.asked.length });
      }
      case 'fold':
        return this.event('folding', { round: effect.round });
      case 'fail':
        return this.event('failed', { round: effect.round, reason: effect.reason });
      case 'finish':
        return state.phase === 'stopped'
          ? this.event('stopped', { round: state.round })
          : this.event('finished', { rounds: effect.rounds });
      case 'refuse':
        return;
    }
  }

  /** Adds to what the run's event stream tells. */
  async event(type: string, data: Readonly<Record<string, unknown>>): Promise<void> {
    const at = this.#aggregator.clock.now();
    await this.tx
      .insertInto('events')
      .values({ run: this.run, at, type, data: JSON.stringify({ ...data, at }) })
      .execute();
  }
}

/**
 * Changes a run: `change` sees it locked, and all it writes through `locked.tx` is durable when this returns, or was never
 * there. What the machine wants done is done after that. Nothing else may be awaited in `change`: the embedded database
 * has one connection. Errors: AGGREGATOR_UNKNOWN_RUN, and those of `change`.
 */
export async function changeRun<Result>(
  aggregator: Aggregator,
  run: string,
  change: (locked: LockedRun) => Promise<Result>,
): Promise<Result> {
  const { result, effects, dropped } = await aggregator.db.transaction().execute(async (tx) => {
    const locked = await LockedRun.open(aggregator, tx, run);
    return { result: await change(locked), effects: locked.effects, dropped: locked.dropped };
  });
  aggregator.observe({ type: 'changed', run });
  await aggregator.blobs.delete(dropped);
  await carryOut(aggregator, run, effects);
  return result;
}

/** Only a fold needs somebody to act; the groups ask by themselves what is asked of them. */
async function carryOut(
  aggregator: Aggregator,
  run: string,
  effects: readonly AggregatorEffect[],
): Promise<void> {
  for (const effect of effects) {
    if (effect.type === 'fold') await aggregator.jobs.request(run, effect.round);
  }
}

/** Asks again for what a run waits for; after a restart, and now and then. */
export async function resume(aggregator: Aggregator, run: string, state: AggregatorState): Promise<void> {
  await carryOut(aggregator, run, outstandingEffects(state));
}
