import type { TransportAnswer, TransportRequest } from '../../src/client/transport.ts';
import { PluralError } from '../../src/core/errors.ts';
import type { Observation } from '../../src/server/aggregator.ts';
import type { BlobStore } from '../../src/server/blobs/blob-store.ts';
import type { Database } from '../../src/server/store/database.ts';
import { cleanUp, passDeadlines, requestFolds } from '../../src/server/sweep.ts';
import { Dead, type Hold, Life, mortalBlobs, mortalDatabase } from './mortal-stores.ts';
import { ADMIN_KEY, openTestAggregator, type TestAggregator } from './test-aggregator.ts';
import type { VirtualTime } from './virtual-time.ts';

/** When a process of the aggregator is killed: so many store operations after the n-th time that something is observed. */
export interface Death {
  /** Null: after its start. */
  readonly after: 'uploaded' | 'folding' | 'publishing' | null;
  readonly nth: number;
  readonly operations: number;
  /** For how long nobody answers then. */
  readonly downMs: number;
  /** The machine loses power: what was not written to last is gone too. */
  readonly losesPower: boolean;
}

/** What survives the processes. */
export interface Stores {
  /** Another one after `reopen`. */
  readonly database: Database;
  readonly blobs: BlobStore;
  /** Closes the database and opens it again from disk; null where it is in memory. */
  readonly reopen: (() => Promise<void>) | null;
}

/** The error of a request that gets no answer. */
export function noAnswer(): PluralError {
  return new PluralError('AGGREGATOR_UNREACHABLE', 'no answer came over the test network');
}

function headersOf(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

/** The real aggregator in processes that are killed one after the other; the last one lives. */
export class MortalAggregator {
  /** What must not happen however often it is killed: answers that blame the server, folds that fail while it lives. */
  readonly faults: string[] = [];
  /** Deaths that came, by what they came after. */
  readonly deaths: Death[] = [];
  readonly #stores: Stores;
  readonly #time: VirtualTime;
  readonly #chunkBytes: number;
  readonly #deathsToCome: Death[];
  #life = new Life();
  #death: Death | null = null;
  #toCome = 0;
  #current: TestAggregator | null = null;
  #losePower: () => Promise<void> = async () => undefined;
  #wakesAt: number | null = null;

  constructor(
    stores: Stores,
    options: { readonly time: VirtualTime; readonly chunkBytes: number; readonly deaths: readonly Death[] },
  ) {
    this.#stores = stores;
    this.#time = options.time;
    this.#chunkBytes = options.chunkBytes;
    this.#deathsToCome = [...options.deaths];
  }

  get database(): Database {
    return this.#stores.database;
  }

  get dead(): boolean {
    return this.#life.dead;
  }

  /** The process that runs now. */
  get current(): TestAggregator {
    if (this.#current === null) throw new Error('not opened');
    return this.#current;
  }

  /** Starts a process that is not killed before `arm` is called. */
  async open(): Promise<void> {
    const life = new Life();
    this.#life = life;
    const observe = ({ type }: Observation) => {
      const death = this.#death;
      if (death?.after === type && --this.#toCome === 0) life.shorten(death.operations);
    };
    const { database, blobs } = this.#stores;
    const hold: Hold = (work) => this.#time.hold(work);
    const mortal = mortalBlobs(blobs, life, hold);
    this.#losePower = mortal.losePower;
    this.#current = await openTestAggregator({
      database: mortalDatabase(database, life, hold),
      blobs: mortal,
      clock: this.#time,
      limits: { chunkBytes: this.#chunkBytes },
      observe,
    });
  }

  /** From now on the process that runs may be killed. */
  arm(): void {
    const death = this.#deathsToCome.shift() ?? null;
    this.#death = death;
    this.#toCome = death?.nth ?? 0;
    if (death?.after === null) this.#life.shorten(death.operations);
  }

  /** Carries out a request. Nobody learns what a process answered that was killed meanwhile. */
  async answer({ method, path, headers, body }: TransportRequest): Promise<TransportAnswer> {
    const life = this.#life;
    if (life.dead) throw noAnswer();
    const options = { method: method as 'GET', url: path, headers };
    const { app } = this.current;
    const answer = await app.inject(
      body.byteLength === 0 ? options : { ...options, payload: Buffer.from(body) },
    );
    if (life.dead) throw noAnswer();
    if (answer.statusCode >= 500) this.faults.push(`${method} ${path}: ${answer.body}`);
    return { status: answer.statusCode, headers: headersOf(answer.headers), body: answer.rawPayload };
  }

  /** A request of the operator; false where nobody answers. */
  async administer(path: string): Promise<boolean> {
    const headers = { authorization: `Bearer ${ADMIN_KEY}` };
    try {
      const { status } = await this.answer({ method: 'POST', path, headers, body: new Uint8Array() });
      return status === 200;
    } catch {
      return false;
    }
  }

  /** What a process does by itself now and then, and at its start. */
  async chores({ cleaning }: { readonly cleaning: boolean }): Promise<void> {
    const { aggregator } = this.current;
    try {
      await passDeadlines(aggregator);
      await requestFolds(aggregator);
      if (cleaning) await cleanUp(aggregator);
    } catch (thrown) {
      if (!this.dead) throw thrown;
    }
  }

  /** Buries a process that was killed, and starts the next when it is time. */
  async revive(): Promise<void> {
    if (!this.dead) return;
    this.#wakesAt ??= this.#time.now() + (this.#death?.downMs ?? 0);
    if (this.#time.now() < this.#wakesAt) return;
    this.#wakesAt = null;
    await this.close();
    if (this.#death !== null) this.deaths.push(this.#death);
    if (this.#death?.losesPower === true) await this.#losePower();
    await this.#stores.reopen?.();
    await this.open();
    this.arm();
    await this.chores({ cleaning: true });
  }

  /** Ends the process, if it lives. */
  async close(): Promise<void> {
    this.#life.end();
    const { current } = this;
    await current.abandon();
    const alive = current.failures.filter(({ cause }) => !(cause instanceof Dead));
    this.faults.push(...alive.map(({ message }) => `fold: ${message}`));
  }
}
