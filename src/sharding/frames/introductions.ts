import { isDeepStrictEqual } from 'node:util';
import { bytesFrom } from '../../core/bytes.ts';
import { invariant, PluralError } from '../../core/errors.ts';
import { keyPairOf } from '../../privacy/secure-sum/key-agreement.ts';
import type { Greeting, SignedGreeting, Voucher } from '../../wire/greeting.ts';
import { freshSecret, type Identity } from '../../wire/identity.ts';
import { checkGreeting, signGreeting } from './greeting.ts';
import { Link } from './link.ts';
import type { Links } from './links.ts';
import { misplaced } from './misplaced.ts';
import {
  checkSeats,
  linkedWith,
  mayKeep,
  type Newcomer,
  otherStages,
  type Seats,
  stageOf,
  withNewcomers,
} from './seats.ts';
import { Vouchers } from './vouchers.ts';

/** How many may take a seat after a run began, as its definition says, and which keepers a participant accepts. */
export interface LateSeats {
  readonly keepers: number;
  readonly groups: number;
  /** Left out: any. */
  readonly accepts?: (keeper: string) => boolean;
}

export const NOBODY_LATE: LateSeats = { keepers: 0, groups: 0 };

/** Those of all who came later that somebody accepts: no more than the definition allows, the first ones. */
export function acceptedOf(newcomers: readonly Newcomer[], late: LateSeats, own: string): Newcomer[] {
  const left = { keepers: late.keepers, groups: late.groups };
  return newcomers.filter(({ seat, stage }) => {
    if (stage === null) return left.groups-- > 0;
    return left.keepers-- > 0 && (seat.id === own || (late.accepts?.(seat.id) ?? true));
  });
}

/** What is remembered of those who came later. */
export interface IntroductionsMemory {
  /** All that it was told of: the list only grows. */
  readonly newcomers: readonly Newcomer[];
  /** Secrets of its greetings that are not answered yet, by whom they are for. */
  readonly asked: readonly (readonly [id: string, secret: Uint8Array])[];
  /** What it answered, by whom for: whoever did not hear it is told the same again. */
  readonly given: readonly (readonly [id: string, welcome: Given])[];
  /** Greetings of other keepers, who know it as keeper of its stage. */
  readonly heard: readonly Voucher[];
  /** Of which stages holders know a newcomer as keeper of its stage. */
  readonly vouched: readonly (readonly [id: string, stages: readonly number[]])[];
}

interface Given {
  /** The key that was answered. */
  readonly key: string;
  readonly welcome: Uint8Array;
}

/** With what a participant gets to know those who came later. */
export interface IntroductionsSetup {
  /** Digest of the run. */
  readonly run: string;
  readonly identity: Identity;
  /** Those of the beginning. */
  readonly seats: Seats;
  /** What both ends of a link must see alike. */
  readonly bound: object;
  readonly links: Links;
  readonly late: LateSeats;
}

type Hello = Extract<Greeting, { kind: 'hello' }>;
type Welcome = Extract<Greeting, { kind: 'welcome' }>;

/**
 * Links with those who took their seats after the run began. The later of two draws a key for this link and says hello; the other draws one, too, and answers with the epoch that
 * the link begins in. Both sign, and both forget their secrets once the link is there, so what was sealed in earlier epochs, or between others, is nothing to a newcomer.
 * What changes here is to be stored before anything of it is sent.
 */
export class Introductions {
  readonly #setup: IntroductionsSetup;
  #newcomers: readonly Newcomer[];
  #seats: Seats;
  readonly #asked: Map<string, Uint8Array>;
  readonly #given: Map<string, Given>;
  readonly #vouchers: Vouchers;
  #changes = 0;

  constructor(setup: IntroductionsSetup, memory?: IntroductionsMemory) {
    this.#setup = setup;
    this.#newcomers = memory?.newcomers ?? [];
    this.#asked = new Map(memory?.asked);
    this.#given = new Map(memory?.given);
    this.#vouchers = new Vouchers(setup, memory);
    this.#seats = this.#seatsWith(this.#newcomers);
  }

  /** All seats that it accepts. */
  get seats(): Seats {
    return this.#seats;
  }

  /** Grows with each change of what is to be remembered. */
  get changes(): number {
    return this.#changes;
  }

  /**
   * Takes note of all who came since the beginning; whether that are more than before. Of keepers beyond those that the definition allows, or that it does not accept, nothing comes.
   * Errors: STAGE_TAKEN where somebody is said to be another than before, or to have two seats; SIGNATURE_INVALID.
   */
  admit(newcomers: readonly Newcomer[]): boolean {
    const before = this.#newcomers;
    if (!isDeepStrictEqual(newcomers.slice(0, before.length), before)) {
      throw new PluralError('STAGE_TAKEN', 'those who came later are said to be others than before', {
        hint: 'The aggregator says something else than before: do not go on before it is explained.',
      });
    }
    const seats = this.#seatsWith(newcomers);
    if (seats.keepers.length > 0 && newcomers.length > before.length) checkSeats(this.#setup.run, seats);
    this.#newcomers = structuredClone(newcomers);
    this.#seats = seats;
    if (newcomers.length === before.length) return false;
    this.#changes++;
    return true;
  }

  /** Whether there is a link with each of these, itself left out. */
  knows(ids: readonly string[]): boolean {
    const { identity, links } = this.#setup;
    return ids.every((id) => id === identity.publicKey || links.with(id) !== null);
  }

  /** Its greetings to all who were there before it and have not answered yet: the same until they do. */
  greetings(): Uint8Array[] {
    const { run, identity } = this.#setup;
    const from = identity.publicKey;
    return this.#unknown().map((to) => {
      const secret = this.#asked.get(to) ?? this.#ask(to);
      const address = { run, from, to, stage: stageOf(this.#seats, to) };
      return signGreeting({ kind: 'hello', ...address, key: keyPairOf(secret).publicKey }, identity);
    });
  }

  /** What shows all who may keep a stage, and with whom there is a link, that holders of other stages know it: some tell it of its stage, others of their shares. */
  vouched(): Uint8Array[] {
    if (!this.#isLate(this.#own) || stageOf(this.#seats, this.#own) === null) return [];
    const ids = mayKeep(this.#seats).map(({ id }) => id);
    const known = ids.filter((id) => id !== this.#own && this.#setup.links.with(id) !== null);
    return known.map((to) => this.#vouchers.shown(to, stageOf(this.#seats, to)!));
  }

  /**
   * Whether somebody may be told of its stage: who had a seat for it in the beginning; who is on the own list of keepers; and a newcomer of whom a first holder of each other stage, or this one, knows that
   * it has one. So an aggregator that names another newcomer to each keeper gets none told.
   */
  isVouchedFor(id: string): boolean {
    const isFirst = stageOf(this.#setup.seats, id) !== null;
    if (this.#setup.late.accepts !== undefined || isFirst) return true;
    // Who came later itself has no word in it.
    const own = stageOf(this.#setup.seats, this.#own);
    const its = stageOf(this.#seats, id);
    if (its === null) return false;
    const others = otherStages(its, this.#seats.keepers.length).filter((stage) => stage !== own);
    return others.every((stage) => this.#vouchers.has(id, stage));
  }

  /**
   * Takes in a greeting: the answer to it, or null where it was one. `epoch` is the latest that the aggregator said.
   * Errors: FRAME_REFUSED for one that does not fit, ROUND_REFUSED while a morph is not settled, SIGNATURE_INVALID.
   */
  receive(signed: SignedGreeting, epoch: number): Uint8Array | null {
    const { greeting } = signed;
    const { run, identity } = this.#setup;
    if (greeting.run !== run || greeting.to !== identity.publicKey)
      throw misplaced('it is for somebody else');
    if (greeting.stage !== stageOf(this.#seats, identity.publicKey)) {
      throw misplaced('its sender knows its receiver with another stage');
    }
    checkGreeting(signed);
    if (greeting.kind === 'vouched') {
      const stage = stageOf(this.#seats, greeting.from);
      if (stage === null) throw misplaced('its sender has no stage');
      if (this.#vouchers.take(greeting, stage)) this.#changes++;
      return null;
    }
    const answer = greeting.kind === 'hello' ? this.#answer(greeting) : this.#conclude(greeting, epoch);
    if (this.#vouchers.hear({ greeting, signature: signed.signature })) this.#changes++;
    return answer;
  }

  /** What is to be remembered. */
  memory(): IntroductionsMemory {
    const asked = [...this.#asked].map(([id, secret]) => [id, secret.slice()] as const);
    return { newcomers: this.#newcomers, asked, given: [...this.#given], ...this.#vouchers.memory() };
  }

  #ask(to: string): Uint8Array {
    const secret = bytesFrom(freshSecret());
    this.#asked.set(to, secret);
    this.#changes++;
    return secret;
  }

  #answer({ from, key }: Hello): Uint8Array {
    const given = this.#given.get(from);
    if (given !== undefined) {
      if (given.key === key) return given.welcome;
      throw misplaced('there is a link with its sender, which had another key then');
    }
    if (!this.#greets(from, this.#own)) throw misplaced('its sender came no later than its receiver');
    const { run, identity, links } = this.#setup;
    const secret = bytesFrom(freshSecret());
    const { epoch } = links;
    this.#link(secret, { id: from, agreementKey: key }, { newcomer: from, epoch });
    const address = { run, from: identity.publicKey, to: from, stage: stageOf(this.#seats, from) };
    const keys = { key: keyPairOf(secret).publicKey, answers: key };
    secret.fill(0);
    const welcome = signGreeting({ kind: 'welcome', ...address, ...keys, epoch }, identity);
    this.#given.set(from, { key, welcome });
    this.#changes++;
    return welcome;
  }

  #conclude({ from, key, answers, epoch }: Welcome, latest: number): null {
    const secret = this.#asked.get(from);
    if (secret === undefined || keyPairOf(secret).publicKey !== answers) {
      throw misplaced('nothing was asked of its sender that it answers');
    }
    // One keeper alone could send who comes later into an epoch in which nobody else is.
    if (epoch > latest) throw misplaced(`it is of epoch ${epoch}, and ${latest} is under way`);
    this.#link(secret, { id: from, agreementKey: key }, { newcomer: this.#own, epoch });
    this.#asked.delete(from);
    this.#changes++;
    secret.fill(0);
    return null;
  }

  #link(
    secret: Uint8Array,
    other: { readonly id: string; readonly agreementKey: string },
    { newcomer, epoch }: { readonly newcomer: string; readonly epoch: number },
  ): void {
    const { bound, links, identity } = this.#setup;
    const stage = this.#newcomers.find(({ seat }) => seat.id === newcomer)?.stage;
    invariant(stage !== undefined, 'who came later is known');
    const own = { id: identity.publicKey, keys: keyPairOf(secret) };
    const link = Link.between({ ...bound, newcomer: { id: newcomer, stage }, epoch }, own, other, epoch);
    links.add(other.id, link);
  }

  get #own(): string {
    return this.#setup.identity.publicKey;
  }

  #isLate(id: string): boolean {
    return this.#newcomers.some(({ seat }) => seat.id === id);
  }

  /** Whether the first of two who may have a link came later. */
  #greets(one: string, other: string): boolean {
    const place = (id: string) => this.#newcomers.findIndex(({ seat }) => seat.id === id);
    return place(one) > place(other) && linkedWith(this.#seats, other).some(({ id }) => id === one);
  }

  /** Those whom it is to greet and has no link with. */
  #unknown(): string[] {
    const own = this.#own;
    if (!this.#isLate(own)) return [];
    const others = linkedWith(this.#seats, own).map(({ id }) => id);
    return others.filter((id) => this.#setup.links.with(id) === null && this.#greets(own, id));
  }

  #seatsWith(newcomers: readonly Newcomer[]): Seats {
    const { seats, late, identity } = this.#setup;
    return withNewcomers(seats, acceptedOf(newcomers, late, identity.publicKey));
  }
}
