import { type RandomStream, randomStream } from '../../src/core/random.ts';
import {
  type AggregatorEffect,
  type AggregatorMessage,
  outstandingEffects,
  stepAggregator,
} from '../../src/round/aggregator.ts';
import {
  type AggregatorState,
  aggregatorStateSchema,
  awaited,
  newRun,
} from '../../src/round/aggregator-state.ts';
import {
  type GroupEffect,
  type GroupMessage,
  type GroupState,
  newGroup,
  outstandingGroupEffects,
  type Place,
  stepGroup,
} from '../../src/round/group.ts';
import type { Participation } from '../../src/wire/participation.ts';
import type { CollectionStep } from '../../src/wire/step.ts';

/** A network and groups that misbehave, as a function of the seed alone. */
export interface NetworkOptions {
  readonly seed: number;
  readonly groups: readonly string[];
  readonly rounds: number;
  readonly quorum: number;
  readonly steps: readonly CollectionStep[];
  /** Left out: every round asks all groups. */
  readonly participation?: Participation;
  /** Chances per message. */
  readonly loss: number;
  readonly duplication: number;
  /** Chance that a group falls silent for good when it is to train. */
  readonly crash: number;
  /** Chance, when a group begins to work, that it is stopped and goes on from its stored state. */
  readonly restart: number;
  /** How often a failed round is opened again. */
  readonly retries: number;
}

/** What happened, in the order in which it did. */
export interface NetworkTrace {
  readonly aggregator: AggregatorState;
  readonly effects: readonly AggregatorEffect[];
  /** Steps that groups worked on, as `group/round/attempt/step`. */
  readonly worked: readonly string[];
  /** Rounds that were skipped. */
  readonly skipped: ReadonlySet<number>;
  /** Submissions that were sent, by the name of their bytes. */
  readonly sent: ReadonlySet<string>;
  /** Messages that were still to come when nothing more could happen; 0 unless the run is stuck in a loop. */
  readonly pending: number;
}

/** Times are in ticks; a message takes 1 to 20 of them, so messages overtake each other. */
const DELAY = 20;
const TRAINING = 30;
const REMIND_EVERY = 50;
const DEADLINE_AFTER = 400;
/** Deadlines of one step that pass in vain before groups that fell silent are taken out of the run. */
const PATIENCE = 3;
const MOST_EVENTS = 100_000;

interface Timed {
  readonly at: number;
  readonly act: () => void;
}

/** Both state machines, a clock, timers, and a network that loses, doubles and reorders messages. */
class Network {
  readonly #options: NetworkOptions;
  readonly #random: RandomStream;
  readonly #agenda: Timed[] = [];
  readonly #groups: Map<string, GroupState>;
  readonly #silent = new Set<string>();
  readonly #effects: AggregatorEffect[] = [];
  readonly #worked: string[] = [];
  #retries: number;
  readonly #skipped = new Set<number>();
  readonly #sent = new Set<string>();
  #aggregator: AggregatorState;
  #now = 0;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#retries = options.retries;
    this.#random = randomStream(options.seed, 'network');
    this.#groups = new Map(options.groups.map((group) => [group, newGroup(group)]));
    this.#aggregator = newRun(options);
  }

  run(): NetworkTrace {
    for (const group of this.#options.groups) this.#tellAggregator({ type: 'join', group });
    this.#tellAggregator({ type: 'start' });
    for (let events = 0; events < MOST_EVENTS && this.#agenda.length > 0; events++) {
      const next = this.#agenda.reduce((first, timed) => (timed.at < first.at ? timed : first));
      this.#agenda.splice(this.#agenda.indexOf(next), 1);
      this.#now = next.at;
      next.act();
    }
    return {
      aggregator: this.#aggregator,
      effects: this.#effects,
      worked: this.#worked,
      skipped: this.#skipped,
      sent: this.#sent,
      pending: this.#agenda.length,
    };
  }

  #after(ticks: number, act: () => void): void {
    this.#agenda.push({ at: this.#now + ticks, act });
  }

  /** Over the network: lost, once, or twice, each with its own delay. */
  #send(act: () => void): void {
    if (this.#random.uniform() < this.#options.loss) return;
    const copies = this.#random.uniform() < this.#options.duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) this.#after(1 + this.#random.below(DELAY), act);
  }

  #tellAggregator(message: AggregatorMessage): void {
    const { state, effects } = stepAggregator(this.#aggregator, message);
    this.#aggregator = state;
    if (state.skipped) this.#skipped.add(state.round);
    this.#effects.push(...effects);
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: AggregatorEffect): void {
    const { type } = effect;
    if (type === 'ask') this.#ask(effect);
    else if (type === 'fold') {
      this.#after(5, () => this.#tellAggregator({ type: 'folded', round: effect.round }));
    } else if (type === 'fail') this.#failed(effect.round);
    else if (type === 'finish') this.#tellAll({ type: 'finished' });
    else {
      const { attempt } = this.#aggregator;
      const message: GroupMessage =
        type === 'refuse'
          ? { ...effect, attempt, type: 'refused' }
          : { ...effect, attempt, type: 'acknowledged' };
      this.#send(() => this.#tellGroup(effect.group, message));
    }
  }

  #ask(place: Place): void {
    this.#remind(place);
    this.#after(DEADLINE_AFTER, () => this.#deadline(place, 1));
    if (this.#random.uniform() < this.#options.restart) {
      this.#after(this.#random.below(DEADLINE_AFTER), () => this.#restartAggregator());
    }
  }

  /** Whether a step is under way. */
  #collects({ round, attempt, step }: Place): boolean {
    const now = this.#aggregator;
    const here = now.round === round && now.attempt === attempt && now.step === step;
    return now.phase === 'collecting' && here;
  }

  /** Says that it is late, and again while the step waits all the same. */
  #deadline(place: Place, times: number): void {
    const { round, step } = place;
    this.#tellAggregator({ type: 'deadline', round, step });
    if (times >= PATIENCE && this.#collects(place)) {
      for (const group of this.#silent) this.#tellAggregator({ type: 'leave', group });
    }
    if (this.#collects(place)) this.#after(DEADLINE_AFTER, () => this.#deadline(place, times + 1));
  }

  /** Tells the groups that are waited for, now and again until the step is over. */
  #remind({ round, attempt, step }: Place): void {
    if (!this.#collects({ round, attempt, step })) return;
    for (const group of awaited(this.#aggregator)) {
      this.#send(() => this.#tellGroup(group, { type: 'asked', round, attempt, step }));
    }
    this.#after(REMIND_EVERY, () => this.#remind({ round, attempt, step }));
  }

  #tellAll(message: GroupMessage): void {
    for (const group of this.#groups.keys()) this.#send(() => this.#tellGroup(group, message));
  }

  #failed(round: number): void {
    this.#tellAll(this.#retries === 0 ? { type: 'finished' } : { type: 'failed', round });
    if (this.#retries === 0) return;
    this.#retries--;
    this.#after(2 * DELAY, () => this.#tellAggregator({ type: 'start' }));
  }

  /** Loses all but the stored state. */
  #restartAggregator(): void {
    const { phase } = this.#aggregator;
    this.#aggregator = aggregatorStateSchema.parse(JSON.parse(JSON.stringify(this.#aggregator)));
    if (phase !== 'collecting' && phase !== 'folding') return;
    for (const effect of outstandingEffects(this.#aggregator)) {
      if (effect.type === 'ask') this.#remind(effect);
      else this.#carryOut(effect);
    }
  }

  #tellGroup(group: string, message: GroupMessage): void {
    if (this.#silent.has(group)) return;
    const { state, effects } = stepGroup(this.#groups.get(group)!, message);
    this.#groups.set(group, state);
    for (const effect of effects) this.#carryOutOf(group, effect);
  }

  #carryOutOf(group: string, { type, round, attempt, step }: GroupEffect): void {
    const digest = `${group}/${round}/${attempt}/${step}`;
    if (type === 'work') {
      this.#worked.push(digest);
      if (this.#random.uniform() < this.#options.crash) this.#silent.add(group);
      const restarts = this.#random.uniform() < this.#options.restart;
      if (restarts) this.#after(TRAINING, () => this.#restartGroup(group));
      else this.#after(TRAINING, () => this.#tellGroup(group, { type: 'done', round, attempt, step }));
    } else if (type === 'send') {
      this.#sent.add(digest);
      this.#send(() => this.#tellAggregator({ type: 'submission', group, round, step, digest }));
    }
  }

  #restartGroup(group: string): void {
    const state: GroupState = JSON.parse(JSON.stringify(this.#groups.get(group)));
    this.#groups.set(group, state);
    for (const effect of outstandingGroupEffects(state)) this.#carryOutOf(group, effect);
  }
}

/** Plays a whole run. */
export function playNetwork(options: NetworkOptions): NetworkTrace {
  return new Network(options).run();
}
