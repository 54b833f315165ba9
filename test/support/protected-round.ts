import { asStage } from '../../src/core/brand.ts';
import { sha256 } from '../../src/core/digest.ts';
import type {
  Collection,
  GroupPart,
  GroupSetup,
  Protection,
  RoundContext,
  RunShape,
} from '../../src/privacy/protection.ts';
import { type AggregatorMessage, stepAggregator } from '../../src/round/aggregator.ts';
import { type AggregatorState, newRun } from '../../src/round/aggregator-state.ts';
import { rememberingCheck } from '../../src/simulate/round-parts.ts';
import { type Identity, identityOf } from '../../src/wire/identity.ts';
import type { Aggregate, ProtectedUpdate, Update } from '../../src/wire/stages.ts';

/** A run that protections of tests are made for. */
export const SHAPE: RunShape = {
  rounds: 5,
  parameters: 50,
  mostWeight: 100,
  equalWeights: false,
  reach: 1,
  seed: 1,
};

/** A round of tests over vectors of some length. */
export function contextOf(parameters: number, change: Partial<RoundContext> = {}): RoundContext {
  return {
    run: sha256('run'),
    round: 3,
    attempt: 1,
    model: sha256('model'),
    parameters,
    ...change,
  };
}

/** A clear update; only tests make one without training. */
export function updateOf(
  group: string,
  weight: number,
  delta: ArrayLike<number>,
  { round = 3, score = null }: { round?: number; score?: number | null } = {},
): Update {
  return asStage({ group, round, weight, delta: Float32Array.from(delta), score });
}

/** The identity of a group of tests. */
export function identityIn(group: string): Identity {
  return identityOf(sha256('identity', group));
}

const MOST_KEPT_BYTES = 2 ** 20;

export interface RoundOptions {
  readonly protection: Protection;
  readonly updates: readonly Update[];
  readonly context: RoundContext;
  /** Groups that fall silent before a step, and stay so. */
  readonly silentBefore?: ReadonlyMap<number, readonly string[]>;
  /** In which order groups reply to a step; left out: that of their names. */
  readonly order?: (step: number, groups: readonly string[]) => readonly string[];
  /** Changes what a group is shown. */
  readonly tamper?: (step: number, group: string, shown: Uint8Array) => Uint8Array;
  /** Makes a group's part, in place of the protection's own. */
  readonly join?: (setup: GroupSetup) => GroupPart;
  readonly peers?: GroupSetup['peers'];
  /** Whether the aggregator looks at replies before it takes them; not where there are very many. */
  readonly screens?: boolean;
}

/** What is told of a round while it is played. The work of each side must be done by whoever is told of it. */
export interface RoundWatch {
  client<Result>(group: string, work: () => Result): Result;
  server<Result>(work: () => Result): Result;
  reply(step: number, reply: ProtectedUpdate): void;
}

const UNWATCHED: RoundWatch = {
  client: (_group, work) => work(),
  server: (work) => work(),
  reply: () => undefined,
};

/** A round with both sides of a protection and the real machine between them. */
export class ProtectedRound {
  readonly collection: Collection;
  readonly parts = new Map<string, GroupPart>();
  /** What each group was shown and replied, by step. */
  readonly shown: Map<string, Uint8Array>[] = [];
  readonly replies: Map<string, ProtectedUpdate>[] = [];
  state: AggregatorState;
  watch: RoundWatch = UNWATCHED;
  readonly #options: RoundOptions;
  readonly #updates: ReadonlyMap<string, Update>;
  readonly #verify = rememberingCheck();

  constructor(options: RoundOptions) {
    this.#options = options;
    const { protection, updates, context } = options;
    this.collection = protection.collect(context);
    this.#updates = new Map(updates.map((update) => [update.group, update]));
    const { steps, groups } = protection;
    this.state = newRun({ rounds: context.round, quorum: groups.least, steps });
    for (const { group } of updates) this.#tell({ type: 'join', group });
    this.state = { ...this.state, round: context.round - 1 };
    this.#tell({ type: 'start' });
  }

  #tell(message: AggregatorMessage) {
    const { state, effects } = stepAggregator(this.state, message);
    this.state = state;
    return effects;
  }

  /** Plays all steps; the sum, where the round comes to one. Throws what a side throws, or why the machine gave up. */
  play(): Aggregate {
    for (const step of this.#options.protection.steps.keys()) this.playStep(step);
    return this.collection.finish();
  }

  /** Plays one step with all that are asked and not silent. */
  playStep(step: number): void {
    for (const group of this.waitedFor(step)) this.reply(step, group);
    this.endStep(step);
  }

  /** Groups that a step asks, and that are not silent, in the order in which they reply. */
  waitedFor(step: number): readonly string[] {
    const { silentBefore = new Map<number, readonly string[]>(), order = (_, groups) => groups } =
      this.#options;
    const silent = new Set([...silentBefore].flatMap(([from, groups]) => (from <= step ? groups : [])));
    return order(
      step,
      this.state.asked.filter((group) => !silent.has(group)),
    );
  }

  /** Ends a step with those who replied. */
  endStep(step: number): void {
    const { context } = this.#options;
    if (this.state.phase === 'collecting' && this.state.step === step) {
      this.#tell({ type: 'deadline', round: context.round, step });
    }
    if (this.state.phase === 'failed') throw new Error(this.state.failure ?? '');
    if (this.state.phase === 'collecting' && this.state.step === step) {
      throw new Error(`step ${step} waits for more than ${this.state.replies[step]?.length} replies`);
    }
    this.collection.close(
      step,
      (this.state.replies[step] ?? []).map(({ group }) => group),
    );
  }

  /** One group's reply to a step, which the aggregator takes. */
  reply(step: number, group: string): ProtectedUpdate {
    const reply = this.answer(step, group);
    this.take(step, reply);
    return reply;
  }

  /** One group's reply to a step. */
  answer(step: number, group: string): ProtectedUpdate {
    const { protection, context, tamper = (_step, _group, shown) => shown } = this.#options;
    const { round } = context;
    const shown = tamper(
      step,
      group,
      this.watch.server(() => this.collection.show(step, group)),
    );
    this.#at(this.shown, step).set(group, shown);
    const update = step === protection.updateStep ? this.#updates.get(group)! : null;
    const payload = this.watch.client(group, () => this.partOf(group).answer(step, update));
    const reply: ProtectedUpdate = asStage({ group, round, protection: protection.name, payload });
    this.watch.reply(step, reply);
    // Not the bytes of many masked vectors: nobody asks for those of all groups.
    if (payload.byteLength < MOST_KEPT_BYTES) this.#at(this.replies, step).set(group, reply);
    return reply;
  }

  /** The aggregator looks at a reply and takes it. */
  take(step: number, reply: ProtectedUpdate): void {
    const { context, screens = true } = this.#options;
    const { group, payload } = reply;
    this.watch.server(() => {
      if (screens) this.collection.screen(step, reply, identityIn(group).publicKey);
      this.collection.add(step, reply);
    });
    this.#tell({ type: 'submission', group, round: context.round, step, digest: sha256(payload) });
  }

  partOf(group: string): GroupPart {
    const known = this.parts.get(group);
    if (known !== undefined) return known;
    const { protection, context, peers = { least: 1, trusts: () => true } } = this.#options;
    const { join = (setup) => protection.join(setup) } = this.#options;
    const part = join({
      context,
      group,
      identity: identityIn(group),
      secret: Buffer.from(sha256('secret', group, JSON.stringify(context)), 'hex'),
      heard: (step) => this.shown[step]!.get(group)!,
      peers,
      verify: this.#verify,
    });
    this.parts.set(group, part);
    return part;
  }

  #at<Value>(list: Map<string, Value>[], step: number): Map<string, Value> {
    list[step] ??= new Map();
    return list[step];
  }
}

/** The sum of a round in which nothing goes wrong but that some groups fall silent. */
export function playRound(options: RoundOptions): Aggregate {
  return new ProtectedRound(options).play();
}
