import type { Greeting, Voucher } from '../../wire/greeting.ts';
import type { Identity } from '../../wire/identity.ts';
import { checkGreeting, signGreeting } from './greeting.ts';
import { misplaced } from './misplaced.ts';
import { type Seats, stageOf } from './seats.ts';

type Vouched = Extract<Greeting, { kind: 'vouched' }>;

interface VouchersSetup {
  /** Digest of the run. */
  readonly run: string;
  readonly identity: Identity;
  /** Those of the beginning. */
  readonly seats: Seats;
}

/** What is remembered of who vouched for whom. */
export interface VouchersMemory {
  readonly heard: readonly Voucher[];
  readonly vouched: readonly (readonly [id: string, stages: readonly number[]])[];
}

/**
 * Greetings of keepers as evidence: who was greeted shows them to the others who may keep a stage, who learn of whom holders of the other stages know that it has its. Only those of the beginning
 * count, whom all know alike: newcomers that an aggregator names to one alone would vouch for each other.
 */
export class Vouchers {
  readonly #setup: VouchersSetup;
  /** By who sent them. */
  readonly #heard: Map<string, Voucher>;
  readonly #vouched: Map<string, ReadonlySet<number>>;

  constructor({ run, identity, seats }: VouchersSetup, memory?: VouchersMemory) {
    this.#setup = { run, identity, seats };
    this.#heard = new Map(memory?.heard.map((one) => [one.greeting.from, one]));
    this.#vouched = new Map(memory?.vouched.map(([id, stages]) => [id, new Set(stages)]));
  }

  /** Keeps a greeting that was checked, where its sender may keep another stage; whether it is new. */
  hear(voucher: Voucher): boolean {
    const { from, stage } = voucher.greeting;
    const sender = stageOf(this.#setup.seats, from);
    if (stage === null || sender === null || sender === stage || this.#heard.has(from)) return false;
    this.#heard.set(from, voucher);
    return true;
  }

  /** All that was heard, for somebody who may keep a stage. */
  shown(to: string, stage: number): Uint8Array {
    const { run, identity } = this.#setup;
    const address = { run, from: identity.publicKey, to, stage };
    return signGreeting({ kind: 'vouched', ...address, vouchers: [...this.#heard.values()] }, identity);
  }

  /** Takes in what a newcomer of a stage shows; whether something is new. Errors: FRAME_REFUSED, SIGNATURE_INVALID: then nothing of it counts. */
  take({ from, vouchers }: Vouched, stage: number): boolean {
    const known = new Set(this.#vouched.get(from));
    const before = known.size;
    for (const voucher of vouchers) {
      const { greeting } = voucher;
      const isOfIt = greeting.run === this.#setup.run && greeting.to === from && greeting.stage === stage;
      const sender = stageOf(this.#setup.seats, greeting.from);
      if (!isOfIt || sender === null || sender === stage) {
        throw misplaced('it shows a greeting that vouches for nothing');
      }
      if (known.has(sender)) continue;
      checkGreeting(voucher);
      known.add(sender);
    }
    this.#vouched.set(from, known);
    return known.size > before;
  }

  /** Whether a holder of a stage knows somebody. */
  has(id: string, stage: number): boolean {
    return this.#vouched.get(id)?.has(stage) === true;
  }

  memory(): VouchersMemory {
    const vouched = [...this.#vouched].map(([id, stages]) => [id, [...stages]] as const);
    return { heard: [...this.#heard.values()], vouched };
  }
}
