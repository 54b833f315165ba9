import { type RandomStream, randomStream } from '../../src/core/random.ts';
import {
  type AggregatorEffect,
  type AggregatorMessage,
  type AggregatorState,
  awaited,
  newRun,
  stepAggregator,
} from '../../src/round/aggregator.ts';
import {
  type GroupEffect,
  type GroupMessage,
  type GroupState,
  newGroup,
  stepGroup,
} from '../../src/round/group.ts';

/** A network and groups that misbehave, as a function of the seed alone. */
export interface NetworkOptions {
  readonly seed: number;
  readonly groups: readonly string[];
  readonly rounds: number;
  readonly quorum: number;
  /** Chances per message. */
  readonly loss: number;
  readonly duplication: number;
  /** Chance that a group falls silent for good when it is to train. */
  readonly crash: number;
}

/** What happened, in the order in which it did. */
export interface NetworkTrace {
  readonly aggregator: AggregatorState;
  readonly effects: readonly AggregatorEffect[];
  readonly trained: readonly { readonly group: string; readonly round: number }[];
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
  readonly #trained: { group: string; round: number }[] = [];
  readonly #sent = new Set<string>();
  #aggregator: AggregatorState;
  #now = 0;

  constructor(options: NetworkOptions) {
    this.#options = options;
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
      trained: this.#trained,
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
    this.#effects.push(...effects);
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: AggregatorEffect): void {
    const { type } = effect;
    if (type === 'announce') {
      const { round, participants } = effect;
      this.#announce(round, participants);
      this.#after(DEADLINE_AFTER, () => this.#tellAggregator({ type: 'deadline', round }));
    } else if (type === 'acknowledge') {
      const { group, round } = effect;
      this.#send(() => this.#tellGroup(group, { type: 'acknowledged', round }));
    } else if (type === 'refuse') {
      const { group, round, reason } = effect;
      this.#send(() => this.#tellGroup(group, { type: 'refused', round, reason }));
    } else if (type === 'fold') {
      this.#after(5, () => this.#tellAggregator({ type: 'folded', round: effect.round }));
    } else {
      for (const group of this.#groups.keys()) this.#send(() => this.#tellGroup(group, { type: 'finished' }));
    }
  }

  /** Tells the groups that are waited for, now and again until the round is over. */
  #announce(round: number, participants: readonly string[]): void {
    if (this.#aggregator.round !== round || this.#aggregator.phase !== 'collecting') return;
    for (const group of awaited(this.#aggregator)) {
      this.#send(() => this.#tellGroup(group, { type: 'announced', round, participants }));
    }
    this.#after(REMIND_EVERY, () => this.#announce(round, participants));
  }

  #tellGroup(group: string, message: GroupMessage): void {
    if (this.#silent.has(group)) return;
    const { state, effects } = stepGroup(this.#groups.get(group)!, message);
    this.#groups.set(group, state);
    for (const effect of effects) this.#carryOutOf(group, effect);
  }

  #carryOutOf(group: string, { type, round }: GroupEffect): void {
    if (type === 'train') {
      this.#trained.push({ group, round });
      if (this.#random.uniform() < this.#options.crash) this.#silent.add(group);
      this.#after(TRAINING, () => this.#tellGroup(group, { type: 'trained', round }));
    } else if (type === 'submit') {
      const digest = `${group}/${round}`;
      this.#sent.add(digest);
      this.#send(() => this.#tellAggregator({ type: 'submission', group, round, digest }));
    }
  }
}

/** Plays a whole run. */
export function playNetwork(options: NetworkOptions): NetworkTrace {
  return new Network(options).run();
}
