import { GroupMemory } from '../../src/client/group-memory.ts';
import { type GroupRecord, type GroupStore, newRecord } from '../../src/client/group-record.ts';
import type { NewestModel } from '../../src/client/newest-model.ts';
import { OwnPart } from '../../src/client/own-part.ts';
import type { ParticipantOptions } from '../../src/client/participation.ts';
import { sha256 } from '../../src/core/digest.ts';
import { PluralError } from '../../src/core/errors.ts';
import { mask } from '../../src/privacy/mask.ts';
import type { Protection, RoundContext } from '../../src/privacy/protection.ts';
import { newGroup, type Place } from '../../src/round/group.ts';
import type { Task } from '../../src/wire/http.ts';
import { makeModel } from '../../src/wire/model.ts';
import { runDigest } from '../../src/wire/run-definition.ts';
import type { Update } from '../../src/wire/stages.ts';
import { decodeSubmission } from '../../src/wire/submission.ts';
import { identityFor, PARAMETERS } from './attacks.ts';
import { contextOf, SHAPE } from './protected-round.ts';

/** A folder in memory, which outlives the processes that use it. */
export class MemoryFolder implements GroupStore {
  record: GroupRecord;
  readonly files = new Map<string, Uint8Array>();
  /** By run: the last round whose sum was opened. */
  readonly opened = new Map<string, number>();

  constructor(group: string) {
    this.record = newRecord(newGroup(group));
  }

  loadRecord(): GroupRecord {
    return structuredClone(this.record);
  }
  saveRecord(record: GroupRecord): void {
    this.record = structuredClone(record);
  }
  loadModel(): Uint8Array | null {
    return this.files.get('model') ?? null;
  }
  saveModel(bytes: Uint8Array): void {
    this.files.set('model', bytes);
  }
  loadClearModel(): Uint8Array | null {
    return this.files.get('clear model') ?? null;
  }
  saveClearModel(bytes: Uint8Array): void {
    this.files.set('clear model', bytes);
  }
  loadOutbox(): Uint8Array | null {
    return this.files.get('outbox') ?? null;
  }
  saveOutbox(bytes: Uint8Array): void {
    this.files.set('outbox', bytes);
  }
  loadShown({ round, attempt, step }: Place): Uint8Array | null {
    return this.files.get(`shown ${round} ${attempt} ${step}`) ?? null;
  }
  saveShown({ round, attempt, step }: Place, bytes: Uint8Array): void {
    this.files.set(`shown ${round} ${attempt} ${step}`, bytes);
  }
  forgetShown(but: Pick<Place, 'round' | 'attempt'> | null): void {
    for (const name of this.files.keys()) {
      const kept = but !== null && name.startsWith(`shown ${but.round} ${but.attempt} `);
      if (name.startsWith('shown ') && !kept) this.files.delete(name);
    }
  }
  loadOpened(run: string): number {
    return this.opened.get(run) ?? 0;
  }
  saveOpened(run: string, round: number): void {
    this.opened.set(run, round);
  }
  loadLedger(): null {
    return null;
  }
  saveLedger(): void {
    throw new Error('no noise, nothing spent');
  }
  saveExport(): string {
    return '';
  }
}

const question = (id: string) => ({ id, text: id, options: ['yes', 'no'] });

/** A run that only stand-ins for local work can do anything with. */
const definitionOf = (quorum: number): ParticipantOptions['definition'] => ({
  format: 1,
  run: 'attacked',
  nonce: '0'.repeat(32),
  plan: {
    config: {},
    survey: { name: 'attacked', questions: [question('a'), question('b')], heldOutQuestions: [] },
    features: { provider: 'none', width: 1, digest: sha256('features') },
    parameters: PARAMETERS,
    quorum,
    deadlineMs: 1000,
  },
});

export interface ClientSettings {
  /** Fewest groups of the run. */
  readonly quorum?: number;
  readonly leastGroups?: number;
  readonly knownPeers?: ParticipantOptions['knownPeers'];
  /** Left out: masking. */
  readonly protection?: Protection;
}

const MODEL = makeModel(2, new Float32Array(PARAMETERS));

/** The client of a group, as its processes and its folder are, with an attacker in the aggregator's place. */
export class AttackedClient {
  readonly group: string;
  readonly folder: MemoryFolder;
  /** All submissions that reached the aggregator, in the order in which they came. */
  readonly sent: { readonly place: Place; readonly payload: Uint8Array }[] = [];
  /** Codes of what the client turned away from. */
  readonly refusals: string[] = [];
  /** What it shows next; called when a client asks. */
  show: (place: Place) => Uint8Array = () => new Uint8Array([0]);
  /** Local training, which may give another update each time. */
  train: () => Update;
  /** Whether the aggregator keeps what is sent, and says that it took nothing. */
  denies = false;
  readonly #settings: ClientSettings;
  readonly #definition: ParticipantOptions['definition'];
  #part: OwnPart | undefined;
  #memory: GroupMemory | undefined;

  constructor(
    group: string,
    train: () => Update,
    folder = new MemoryFolder(group),
    settings: ClientSettings = {},
  ) {
    this.group = group;
    this.train = train;
    this.folder = folder;
    this.#settings = settings;
    this.#definition = definitionOf(settings.quorum ?? 3);
    const run = runDigest(this.#definition);
    const head = {
      run,
      round: 2,
      model: MODEL.digest,
      previous: null,
      updates: 0,
      signature: '0'.repeat(128),
    };
    this.folder.saveRecord({ ...this.folder.record, head });
  }

  context(attempt = 1): RoundContext {
    return contextOf(PARAMETERS, { run: runDigest(this.#definition), model: MODEL.digest, attempt });
  }

  /** A new process takes over the folder; what was about to be sent may be lost. */
  restart({ loses = false } = {}): void {
    this.#part = undefined;
    if (loses) this.folder.files.delete('outbox');
  }

  /** What was sent in a step, oldest first. */
  sentIn(step: number, attempt = 1): Uint8Array[] {
    return this.sent
      .filter(({ place }) => place.step === step && place.attempt === attempt)
      .map(({ payload }) => payload);
  }

  /** The client looks at its task. */
  async asked(step: number, attempt = 1): Promise<void> {
    const head = this.folder.record.head!;
    const task = {
      phase: 'collecting',
      round: 3,
      rounds: 9,
      attempt,
      step,
      asked: true,
      replied: null,
      model: head,
    };
    this.#start();
    try {
      await this.#part!.answer(task as unknown as Task);
    } catch (thrown) {
      if (!(thrown instanceof PluralError)) throw thrown;
      this.refusals.push(thrown.code);
    }
  }

  /** The client learns that the round was given up. */
  failed(): void {
    this.#start();
    this.#memory!.tell({ type: 'failed', round: 3 });
  }

  #start(): void {
    if (this.#part !== undefined) return;
    this.#memory = new GroupMemory(this.folder);
    const newest = { parameters: async () => MODEL, scoreToTell: null } as unknown as NewestModel;
    this.#part = new OwnPart(this.#options(), this.#memory, newest);
  }

  #options(): ParticipantOptions {
    const api = {
      info: async () => ({ limits: { chunkBytes: 2 ** 20 } }),
      shown: async (place: Place) => this.show(place),
      beginUpload: async (_: string, size: number) => ({ received: 0, size, complete: false }),
      sendPart: async (_: string, __: number, bytes: Uint8Array) => {
        this.#arrived(bytes);
        return { received: bytes.length, size: bytes.length, complete: true };
      },
      submit: async () => {
        if (this.denies) throw new PluralError('GROUP_NOT_ASKED', 'the step is over');
        return { repeated: false };
      },
    };
    const work = {
      protection: this.#settings.protection ?? mask.create({}, SHAPE),
      update: async () => ({ update: this.train(), loss: 1 }),
    };
    const emit = (event: { type: string; code?: string }) => {
      if (event.type === 'refused') this.refusals.push(event.code ?? '');
    };
    return {
      api,
      retry: (attempt: () => Promise<unknown>) => attempt(),
      store: this.folder,
      work,
      definition: this.#definition,
      aggregatorKey: '',
      group: this.group,
      identity: identityFor(this.group),
      tellScores: true,
      leastGroups: this.#settings.leastGroups ?? 1,
      knownPeers: this.#settings.knownPeers ?? null,
      emit,
    } as unknown as ParticipantOptions;
  }

  #arrived(bytes: Uint8Array): void {
    const { update, origin } = decodeSubmission(bytes);
    const { round } = update;
    const attempt = this.folder.record.attempt?.attempt ?? 0;
    this.sent.push({ place: { round, attempt, step: origin.step }, payload: update.payload });
  }
}
