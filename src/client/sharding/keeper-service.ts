import { randomBytes } from 'node:crypto';
import { asPluralError, type PluralError } from '../../core/errors.ts';
import type { KeptShare } from '../../sharding/deposits/kept-shares.ts';
import { parseGreeting } from '../../sharding/frames/greeting.ts';
import { parseFrame } from '../../sharding/frames/sealed-frame.ts';
import type { Keeper } from '../../sharding/keeper/keeper.ts';
import { runDigest } from '../../wire/run-definition.ts';
import type { Inbox, KeeperOrder, KeeperStatus } from '../../wire/sharding.ts';
import type { AggregatorApi } from '../api.ts';
import { Depositor } from './depositor.ts';
import { Introducer } from './introducer.ts';
import type { KeeperHome } from './keeper-home.ts';
import { openKeeper } from './open-keeper.ts';
import { type RelayApi, RelayLine } from './relay-line.ts';
import { checkKeepers, seatsWhenBegun } from './seats.ts';
import { shardedPlan } from './sharded-plan.ts';

/** What happens at a keeper, for whoever shows it. */
export type KeeperEvent =
  | { readonly type: 'begun'; readonly stage: number; readonly keepers: number; readonly groups: number }
  /** It carried out an order, or failed to. */
  | {
      readonly type: 'order';
      readonly kind: KeeperOrder['kind'];
      readonly failure: string | null;
      readonly epoch: number;
      readonly round: number;
    }
  /** Its stage is with the aggregator, sealed, or could not be left there: the training goes on without. */
  | {
      readonly type: 'deposit';
      readonly failure: string | null;
      readonly epoch: number;
      readonly round: number;
    }
  /** There are newcomers: how many came since the run began. */
  | { readonly type: 'came'; readonly keepers: number; readonly groups: number }
  /** A frame was not taken: the attempt that it is of may begin again. */
  | { readonly type: 'refused'; readonly code: string; readonly message: string };

/** What a keeper asks of its aggregator while it serves. */
export type KeeperApi = RelayApi & Pick<AggregatorApi, 'seats' | 'leaveDeposit' | 'deposit'>;

export interface KeeperServiceOptions {
  readonly api: KeeperApi;
  readonly home: KeeperHome;
  readonly signal: AbortSignal;
  readonly emit: (event: KeeperEvent) => void;
}

const SESSION_BYTES = 16;

/** Keeps a stage of a run: takes in frames and orders that the relay brings, and stores the stage before it says that it has done something for good. */
export class KeeperService {
  readonly #options: KeeperServiceOptions;
  readonly #session = randomBytes(SESSION_BYTES).toString('hex');
  readonly #keeper: Keeper;
  readonly #line: RelayLine;
  readonly #introducer: Introducer;
  readonly #depositor: Depositor;
  #shares: readonly KeptShare[];
  /** How much of whom the keeper knows is stored. */
  #acquainted = 0;
  #answered = 0;
  #failure: KeeperStatus['failure'] = null;
  #said = '';
  #last: Promise<void> = Promise.resolve();
  readonly #broken: Promise<never>;
  #break: (error: PluralError) => void = () => undefined;

  private constructor(options: KeeperServiceOptions, keeper: Keeper) {
    this.#options = options;
    this.#keeper = keeper;
    this.#shares = keeper.shares;
    this.#broken = new Promise((_, reject) => {
      this.#break = reject;
    });
    this.#broken.catch(() => undefined);
    this.#introducer = new Introducer({
      api: options.api,
      party: keeper,
      store: () => this.#storeAcquaintances(),
      send: (frames) => this.#say(frames),
      refused: (error) => this.#refuse(error),
      came: (newcomers) => {
        const groups = newcomers.filter(({ stage }) => stage === null).length;
        options.emit({ type: 'came', keepers: newcomers.length - groups, groups });
      },
    });
    this.#line = new RelayLine(
      options.api,
      {
        frame: (bytes) => this.#then(() => this.#receive(bytes)),
        order: (order) => this.#then(() => this.#carryOut(order)),
        course: (course) => this.#then(() => this.#introducer.follow(course)),
        newcomers: () => this.#then(() => this.#introducer.admit()),
        turn: () => this.#then(() => this.#introducer.greet()),
        relay: () => this.#then(() => this.#meet()),
        idle: () => this.#last,
      },
      options.signal,
    );
    this.#depositor = new Depositor({
      leave: (bytes) => options.api.leaveDeposit(bytes),
      send: (frames) => this.#line.send(frames),
      isCurrent: ({ epoch }) => epoch === keeper.epoch,
      ended: ({ epoch, round }, error) =>
        options.emit({ type: 'deposit', failure: error?.message ?? null, epoch, round }),
    });
  }

  /** Waits for the run to begin, and keeps its stage until the signal fires. Errors: INTERRUPTED, those of the API, of the stage, and of writing it. */
  static async serve(options: KeeperServiceOptions): Promise<never> {
    const { api, home, signal, emit } = options;
    const { definition, keepers } = home.membership();
    const run = runDigest(definition);
    const now = await seatsWhenBegun(api, run, signal);
    const { seats } = now;
    checkKeepers(seats, keepers);
    const keeper = await openKeeper(home, { run, now, plan: shardedPlan(definition), accepted: keepers });
    const stage = keeper.stage;
    emit({ type: 'begun', stage, keepers: seats.keepers.length, groups: seats.groups.length });
    const service = new KeeperService(options, keeper);
    try {
      return await Promise.race([service.#line.listen(), service.#broken]);
    } finally {
      await service.#last;
      await keeper.close();
    }
  }

  /** One thing after the other, in the order in which they came. What cannot be stored or sent ends the service. */
  #then(work: () => Promise<void>): void {
    this.#last = this.#last.then(work).catch((thrown) => this.#break(asPluralError(thrown)));
  }

  /** Another relay counts orders anew. */
  async #meet(): Promise<void> {
    this.#answered = 0;
    this.#failure = null;
    this.#said = '';
    this.#say([]);
  }

  /** Beside what was stored of the stage, which may be in the middle of a round. In the middle of a morph it is stored with how that is settled. */
  #storeAcquaintances(): void {
    const { acquainted, unsettled } = this.#keeper;
    // A greeting that is repeated is no reason to write a stage.
    if (unsettled || acquainted === this.#acquainted) return;
    const { home } = this.#options;
    const { memory, turned } = home.load()!;
    home.save({ memory: { ...memory, ...this.#keeper.acquaintances() }, turned });
    this.#storeShares();
    this.#acquainted = acquainted;
  }

  #refuse(thrown: unknown): void {
    const { code, message } = asPluralError(thrown);
    this.#options.emit({ type: 'refused', code, message });
    this.#say([]);
  }

  async #receive(bytes: Uint8Array): Promise<void> {
    const greeting = parseGreeting(bytes);
    if (greeting !== null) return this.#introducer.meet(greeting);
    let following: readonly Uint8Array[] = [];
    try {
      following = await this.#keeper.receive(bytes);
    } catch (thrown) {
      this.#refuse(thrown);
      return;
    }
    // Who stands by has the stage once it is on its disk: where it cannot be, the service ends.
    if (parseFrame(bytes).header.kind === 'memory' && !this.#keeper.unsettled) this.#store();
    this.#storeShares();
    this.#say(following);
  }

  async #carryOut({ number, order }: NonNullable<Inbox['order']>): Promise<void> {
    let frames: readonly Uint8Array[] = [];
    this.#failure = null;
    try {
      frames = await this.#obey(order);
    } catch (thrown) {
      const { code, message } = asPluralError(thrown);
      this.#failure = { code, message: message.slice(0, 1000) };
    }
    this.#answered = number;
    const { epoch, place } = this.#keeper;
    const failure = this.#failure?.message ?? null;
    this.#options.emit({ type: 'order', kind: order.kind, failure, epoch, round: place.round });
    this.#say(frames);
  }

  async #obey(order: KeeperOrder): Promise<readonly Uint8Array[]> {
    const keeper = this.#keeper;
    switch (order.kind) {
      case 'appoint':
        await keeper.appoint(order.keeping);
        return [];
      case 'begin':
        await keeper.begin(order.order);
        return [];
      case 'keep':
        return this.#keep();
      case 'probe':
        return keeper.probe(order.phase);
      case 'turn': {
        const before = keeper.memory();
        await keeper.turn();
        // Who is lost now comes back turned: the others may keep the morph meanwhile.
        this.#options.home.save({ memory: before, turned: true });
        return keeper.share();
      }
      case 'settle':
        await keeper.settle(order.keep);
        this.#storeSettled();
        return [];
      case 'reveal':
        return keeper.reveal(order);
      case 'recover':
        await keeper.recover(await this.#options.api.deposit(order.stage, order.id), order.id);
        this.#store();
        return [];
    }
  }

  /** Errors: ROUND_REFUSED in the middle of a round: then nothing is stored. */
  async #keep(): Promise<readonly Uint8Array[]> {
    const frames = await this.#keeper.share();
    this.#store();
    const deposit = await this.#keeper.deposit();
    if (deposit !== null) this.#depositor.leave(deposit);
    return frames;
  }

  /** Here the stage before the morph is forgotten, and on the disk it is not: where this cannot be stored, the service ends and goes on from there. */
  #storeSettled(): void {
    try {
      this.#store();
    } catch (thrown) {
      this.#break(asPluralError(thrown));
      throw thrown;
    }
  }

  #store(): void {
    this.#options.home.save({ memory: this.#keeper.memory(), turned: false });
    this.#storeShares();
  }

  /** Where they are others than those that are stored. */
  #storeShares(): void {
    const { shares } = this.#keeper;
    if (shares === this.#shares) return;
    this.#options.home.saveShares(shares);
    this.#shares = shares;
  }

  #statusNow(): KeeperStatus {
    const { epoch, place, done, holds, strangers, unsettled, probed } = this.#keeper;
    return {
      session: this.#session,
      epoch,
      round: place.round,
      attempt: place.attempt,
      done,
      holds,
      strangers: [...strangers],
      unsettled,
      reached: probed.reached,
      verdict: probed.verdict,
      answered: this.#answered,
      failure: this.#failure,
    };
  }

  /** Sends frames, and what is new about itself after them; the next frame is not kept waiting for that. */
  #say(frames: readonly Uint8Array[]): void {
    const status = this.#statusNow();
    const text = JSON.stringify(status);
    const isNew = text !== this.#said;
    this.#said = text;
    if (!isNew && frames.length === 0) return;
    this.#line.send(frames, isNew ? status : null).catch((thrown) => this.#break(asPluralError(thrown)));
  }
}
