import { setImmediate } from 'node:timers/promises';
import { AggregatorApi } from '../../src/client/api.ts';
import type { GroupEvent } from '../../src/client/group-events.ts';
import { type GroupRecord, type GroupStore, newRecord } from '../../src/client/group-record.ts';
import type { LocalWork } from '../../src/client/local-training.ts';
import { Participant } from '../../src/client/participate.ts';
import type { ParticipantOptions } from '../../src/client/participation.ts';
import { retryWith } from '../../src/client/retry.ts';
import type { Transport } from '../../src/client/transport.ts';
import { randomStream } from '../../src/core/random.ts';
import { type Ledger, ledgerSchema } from '../../src/privacy/differential/ledger-schema.ts';
import { newGroup, type Place } from '../../src/round/group.ts';
import { fedavg } from '../../src/strategy/fedavg.ts';
import { makeUpdate } from '../../src/training/make-update.ts';
import { type Identity, identityOf } from '../../src/wire/identity.ts';
import type { FakeAggregator } from './fake-aggregator.ts';

/** A wait that takes no time, and ends what waits for ever: `onWait` is told how many waits there were. */
export function limited(most: number, onWait: (count: number) => void = () => undefined) {
  let count = 0;
  return async (): Promise<void> => {
    await setImmediate();
    onWait(++count);
    if (count > most) throw new Error('still waiting');
  };
}

/** Until something holds; fails where it never does. */
export async function until(holds: () => boolean): Promise<void> {
  for (const wait = limited(1000); !holds(); ) await wait();
}

/** The process was killed. */
export class Killed extends Error {}

function shownName({ round, attempt, step }: Place): string {
  return `shown ${round} ${attempt} ${step}`;
}

/** A folder in memory. Its writes can be made the last thing that happens. */
export class MemoryStore implements GroupStore {
  readonly writes: string[] = [];
  /** How many more writes happen; the one after them does not. */
  left = Number.POSITIVE_INFINITY;
  #record: string;
  readonly #files = new Map<string, Uint8Array>();

  constructor(group: string) {
    this.#record = JSON.stringify(newRecord(newGroup(group)));
  }

  loadRecord(): GroupRecord {
    return JSON.parse(this.#record);
  }

  saveRecord(record: GroupRecord): void {
    this.#write(`record ${record.machine.phase} ${record.machine.round}`);
    this.#record = JSON.stringify(record);
  }

  loadModel(): Uint8Array | null {
    return this.#files.get('model') ?? null;
  }

  saveModel(bytes: Uint8Array): void {
    this.#put('model', bytes);
  }

  loadClearModel(): Uint8Array | null {
    return this.#files.get('clear model') ?? null;
  }

  saveClearModel(bytes: Uint8Array): void {
    this.#put('clear model', bytes);
  }

  loadOutbox(): Uint8Array | null {
    return this.#files.get('outbox') ?? null;
  }

  saveOutbox(bytes: Uint8Array): void {
    this.#put('outbox', bytes);
  }

  loadShown(place: Place): Uint8Array | null {
    return this.#files.get(shownName(place)) ?? null;
  }

  saveShown(place: Place, bytes: Uint8Array): void {
    this.#put(shownName(place), bytes);
  }

  forgetShown(but: Pick<Place, 'round' | 'attempt'> | null): void {
    this.#write('forget what was shown');
    for (const name of this.#files.keys()) {
      const kept = but !== null && name.startsWith(shownName({ ...but, step: 0 }).slice(0, -1));
      if (name.startsWith('shown') && !kept) this.#files.delete(name);
    }
  }

  loadOpened(run: string): number {
    const bytes = this.#files.get(`opened-${run}`);
    return bytes === undefined ? 0 : Number(Buffer.from(bytes).toString('utf8'));
  }

  saveOpened(run: string, round: number): void {
    this.#put(`opened-${run}`, Buffer.from(String(round), 'utf8'));
  }

  loadLedger(): Ledger | null {
    const bytes = this.#files.get('ledger');
    return bytes === undefined ? null : ledgerSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  }

  saveLedger(ledger: Ledger): void {
    this.#put('ledger', Buffer.from(JSON.stringify(ledger), 'utf8'));
  }

  /** Loses what was shown. */
  loseShown(): void {
    for (const name of this.#files.keys()) if (name.startsWith('shown')) this.#files.delete(name);
  }

  saveExport(bytes: Uint8Array): string {
    this.#put('export', bytes);
    return 'memory';
  }

  #put(name: string, bytes: Uint8Array): void {
    this.#write(name);
    this.#files.set(name, bytes.slice());
  }

  #write(what: string): void {
    if (this.left <= 0) throw new Killed();
    this.left--;
    this.writes.push(what);
  }
}

/** Training that takes no time: a function of model, round and group, as the real one is. */
export function fakeWork(aggregator: FakeAggregator, group: string): LocalWork & { trained: number[] } {
  const trained: number[] = [];
  return {
    trained,
    protection: aggregator.protection,
    strategy: fedavg.create({}),
    update: async ({ round }, model, score) => {
      trained.push(round);
      const random = randomStream(round, 'fake', group, model.digest);
      const received = model.parameters;
      const update = makeUpdate({
        group,
        round,
        weight: 1 + random.below(5),
        received,
        trained: received.map((value) => value + random.uniform()),
        score,
        rows: null,
      });
      return { update, loss: 1 / round };
    },
    score: async ({ round }) => ({ alignment: 0.5 + round / 100, questions: 7 }),
    exportModel: ({ digest }) => Buffer.from(digest),
    close: async () => undefined,
  };
}

export interface FakeGroup {
  readonly group: string;
  readonly identity: Identity;
  readonly store: MemoryStore;
  readonly work: ReturnType<typeof fakeWork>;
  readonly events: GroupEvent[];
  /** What a process of it takes part with. */
  options(): ParticipantOptions;
  /** As a new process would, from what is stored. */
  start(): Participant;
}

export interface FakeGroupOptions {
  readonly tellScores?: boolean;
  readonly transport?: Transport;
  /** Called in place of waiting. */
  readonly sleep?: () => Promise<void>;
  readonly leastGroups?: number;
  readonly knownPeers?: ParticipantOptions['knownPeers'];
}

/** The key of a group by its name. */
export function identityOfFake(group: string): Identity {
  return identityOf(Buffer.from(group.padEnd(32, '.')).toString('hex').slice(0, 64));
}

/** A group with stand-ins for everything but its driver, enrolled with an aggregator. */
export function fakeGroup(
  aggregator: FakeAggregator,
  group: string,
  options: FakeGroupOptions = {},
): FakeGroup {
  const { tellScores = true, transport = aggregator.transport, sleep = limited(1000) } = options;
  const { leastGroups = 1, knownPeers = null } = options;
  const identity = identityOfFake(group);
  const store = new MemoryStore(group);
  const work = fakeWork(aggregator, group);
  const events: GroupEvent[] = [];
  const aggregatorKey = aggregator.identity.publicKey;
  const { definition } = aggregator;
  const retry = retryWith({ patienceMs: Number.POSITIVE_INFINITY, sleep, random: () => 0 });
  const participation = (): ParticipantOptions => {
    const api = new AggregatorApi({ transport, identity, aggregatorKey, run: definition.run, retry });
    const common = { api, retry, store, work, definition, aggregatorKey, tellScores, sleep };
    const who = { group, identity, leastGroups, knownPeers };
    return { ...common, ...who, emit: (event) => events.push(event) };
  };
  aggregator.enrol(group, identity.publicKey);
  const start = () => new Participant(participation());
  return { group, identity, store, work, events, options: participation, start };
}
