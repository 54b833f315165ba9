import type { Transport, TransportAnswer, TransportRequest } from '../../src/client/transport.ts';
import { type RandomStream, randomStream } from '../../src/core/random.ts';
import { noAnswer } from './mortal-aggregator.ts';
import type { VirtualTime } from './virtual-time.ts';

/** Chances per request, and the longest usual delay of one way. */
export interface FaultRates {
  readonly lostRequest: number;
  readonly lostAnswer: number;
  readonly cutAnswer: number;
  readonly duplicate: number;
  /** Of a delay that is far beyond the usual. */
  readonly stall: number;
  readonly delayMs: number;
}

/** Kinds of faults that a network counts. */
export const FAULTS = ['lostRequest', 'lostAnswer', 'cutAnswer', 'duplicate', 'stall'] as const;
export type Fault = (typeof FAULTS)[number];

const LONGEST_STALL_MS = 20_000;
/** A copy may come when nobody remembers the first, and its signature may be out of date then. */
const LATEST_COPY_MS = 400_000;

/** What becomes of one request, drawn before anything happens, so that it depends on the seed alone. */
interface Fate {
  readonly faults: ReadonlySet<Fault>;
  readonly thereMs: number;
  readonly backMs: number;
  readonly copyMs: number;
  /** Whether the copy's answer is the one that comes back. */
  readonly copyAnswers: boolean;
}

/** A network that loses, cuts, delays, doubles and so reorders requests and answers. */
export class FaultNetwork {
  readonly counts: Record<Fault, number> = {
    lostRequest: 0,
    lostAnswer: 0,
    cutAnswer: 0,
    duplicate: 0,
    stall: 0,
  };
  readonly #time: VirtualTime;
  readonly #seed: number;
  readonly #rates: FaultRates;
  readonly #answer: Transport;

  constructor(
    time: VirtualTime,
    options: { readonly seed: number; readonly rates: FaultRates; readonly answer: Transport },
  ) {
    this.#time = time;
    this.#seed = options.seed;
    this.#rates = options.rates;
    this.#answer = options.answer;
  }

  /** The line of one group. */
  lineOf(group: string): Transport {
    const random = randomStream(this.#seed, 'network', group);
    return (request) => this.#carry(request, this.#draw(random));
  }

  #draw(random: RandomStream): Fate {
    const faults = new Set(FAULTS.filter((fault) => random.uniform() < this.#rates[fault]));
    const [there, back, copy, answers] = Array.from({ length: 4 }, () => random.uniform());
    const stallMs = faults.has('stall') ? LONGEST_STALL_MS * there! : 0;
    return {
      faults,
      thereMs: this.#rates.delayMs * there! + stallMs,
      backMs: this.#rates.delayMs * back!,
      // Most copies race with what they are copies of, some come late.
      copyMs: copy! < 0.7 ? this.#rates.delayMs * copy! : LATEST_COPY_MS * (copy! - 0.7),
      copyAnswers: answers! < 0.5,
    };
  }

  async #carry(request: TransportRequest, fate: Fate): Promise<TransportAnswer> {
    const { faults, thereMs, backMs, copyMs, copyAnswers } = fate;
    for (const fault of faults) this.counts[fault]++;
    await this.#time.sleep(thereMs);
    if (faults.has('lostRequest')) throw noAnswer();
    const first = this.#arrive(request);
    const copy = faults.has('duplicate') ? this.#time.sleep(copyMs).then(() => this.#arrive(request)) : null;
    copy?.catch(() => undefined);
    first.catch(() => undefined);
    const answer = await (copy !== null && copyAnswers ? copy : first);
    await this.#time.sleep(backMs);
    if (faults.has('lostAnswer')) throw noAnswer();
    if (!faults.has('cutAnswer')) return answer;
    return { ...answer, body: answer.body.subarray(0, Math.floor(answer.body.byteLength / 2)) };
  }

  #arrive(request: TransportRequest): Promise<TransportAnswer> {
    return this.#time.hold(() => this.#answer(request));
  }
}
