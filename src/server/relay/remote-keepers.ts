import { PluralError } from '../../core/errors.ts';
import type { Keeping } from '../../sharding/frames/seats.ts';
import type { RevealOrder } from '../../sharding/keeper/deposits.ts';
import type { KeeperOrders } from '../../sharding/keeper/epoch.ts';
import type { ProbePhase, ProbeVerdict } from '../../sharding/keeper/probe.ts';
import type { KeeperOrder, KeeperStatus } from '../../wire/sharding.ts';
import type { RunRelay } from './run-relay.ts';

/** Changes come by themselves; silence does not. */
const LOOK_EVERY_MS = 500;

/** The training cannot go on as it was begun: another attempt may. */
export class Trouble extends Error {}

/** A keeper did not do what it was asked for. */
export class KeeperRefusal extends PluralError {
  /** The code that it said. */
  readonly said: string;

  constructor(kind: KeeperOrder['kind'], { code, message }: NonNullable<KeeperStatus['failure']>) {
    super('ROUND_REFUSED', `a keeper did not "${kind}": ${message}`, { hint: `It said ${code}.` });
    this.said = code;
  }
}

/** Throws Trouble where there is no use in waiting any longer. */
export type Check = () => void | Promise<void>;

/** Waits until something is there. Errors: Trouble. */
export async function until<Found>(relay: RunRelay, check: Check, look: () => Found | null): Promise<Found> {
  for (;;) {
    const found = look();
    if (found !== null) return found;
    await check();
    await relay.change(LOOK_EVERY_MS);
  }
}

/** A keeper behind the relay, as the course of a run orders it about. */
export class RemoteKeeper implements KeeperOrders {
  readonly id: string;
  readonly #relay: RunRelay;
  readonly #check: Check;
  readonly #found: Check;

  /** `check` is asked while an answer is waited for, `found` while what a probe came to is. */
  constructor(relay: RunRelay, id: string, check: Check, found = check) {
    this.id = id;
    this.#relay = relay;
    this.#check = check;
    this.#found = found;
  }

  get status(): KeeperStatus | null {
    return this.#relay.statusOf(this.id);
  }

  appoint(keeping: Keeping): Promise<void> {
    return this.#done({ kind: 'appoint', keeping: [...keeping] });
  }

  begin(order: Extract<KeeperOrder, { kind: 'begin' }>['order']): Promise<void> {
    return this.#done({ kind: 'begin', order });
  }

  /** It stores its stage after a round, and tells it to those who stand by. */
  keep(): Promise<void> {
    return this.#done({ kind: 'keep' });
  }

  /** It sends the probe itself. */
  async probe(phase: ProbePhase): Promise<readonly Uint8Array[]> {
    await this.#done({ kind: 'probe', phase });
    return [];
  }

  found(phase: ProbePhase): Promise<ProbeVerdict | null> {
    return until(this.#relay, this.#found, () => {
      const { status } = this;
      return status?.reached === phase ? { verdict: status.verdict } : null;
    }).then(({ verdict }) => verdict);
  }

  turn(): Promise<void> {
    return this.#done({ kind: 'turn' });
  }

  /** It did, when it turned. */
  async share(): Promise<readonly Uint8Array[]> {
    return [];
  }

  settle(keep: boolean): Promise<void> {
    return this.#done({ kind: 'settle', keep });
  }

  /** It tells its share of a deposit to a holder of the stage that is in it. */
  reveal(order: RevealOrder): Promise<void> {
    return this.#done({ kind: 'reveal', ...order });
  }

  /** It goes on from a deposit of its stage. */
  recover(stage: number, id: string): Promise<void> {
    return this.#done({ kind: 'recover', stage, id });
  }

  /** Errors: Trouble; what the keeper says it failed with. */
  async #done(order: KeeperOrder): Promise<void> {
    const number = this.#relay.order(this.id, order);
    const session = this.status?.session;
    const { failure } = await until(this.#relay, this.#check, () => {
      const { status } = this;
      if (status !== null && session !== undefined && status.session !== session) {
        throw new Trouble('a keeper was started again');
      }
      return status !== null && status.answered >= number ? status : null;
    });
    if (failure !== null) {
      throw new KeeperRefusal(order.kind, failure);
    }
  }
}
