import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { bytesFrom, hexOf } from '../core/bytes.ts';
import { PluralError } from '../core/errors.ts';
import { isFile, jsonOrNull, readFileBytes, readFileText, writeFileAtomic } from '../core/files.ts';
import { takeLock } from '../core/lock-file.ts';
import { groupFileBytes, readGroupFile } from '../data/group-file.ts';
import type { Survey } from '../data/survey.ts';
import { type Ledger, ledgerSchema } from '../privacy/differential/ledger-schema.ts';
import { newGroup, type Place } from '../round/group.ts';
import { type Identity, identityOf } from '../wire/identity.ts';
import { digestSchema } from '../wire/run-definition.ts';
import {
  type GroupRecord,
  type GroupStore,
  groupRecordSchema,
  type Membership,
  membershipSchema,
  newRecord,
} from './group-record.ts';
import { IDENTITY_FILE, identityFileSchema, makeIdentity, makeOwnFolder } from './identity-file.ts';
import { LinkFiles } from './sharding/link-files.ts';

const FILE_MODE = 0o600;

const FILES = {
  identity: IDENTITY_FILE,
  answers: 'answers.arrow',
  membership: 'membership.json',
  state: 'state.json',
  model: 'model.f32',
  clearModel: 'clear-model.cbor',
  readersKey: 'readers-key.json',
  outbox: 'outbox.cbor',
  ...LinkFiles.names,
  opened: 'opened.json',
  ledger: 'privacy-ledger.json',
  export: 'model.onnx',
  lock: 'lock',
} as const;

/** By digest of the run: the last round whose sum was opened. */
const openedSchema = z.record(digestSchema, z.int().min(1));

/** What is of one run. */
const OF_A_RUN = [
  'membership',
  'state',
  'model',
  'clearModel',
  'readersKey',
  'outbox',
  'seat',
  'links',
] as const;

const SHOWN = 'shown';

function shownFile({ round, attempt, step }: Place): string {
  return `${SHOWN}-${round}-${attempt}-${step}.cbor`;
}

/** Whether a file is what a process that was killed had begun to write. */
function isLeftover(file: string): boolean {
  return file.endsWith('.tmp') && OF_A_RUN.some((name) => file.startsWith(`${FILES[name]}.`));
}

const readersKeySchema = z.strictObject({
  format: z.literal(1),
  /** What the groups of the run share, and its aggregator does not know. */
  secret: z.string().regex(/^[0-9a-f]{64}$/),
});

/** A group's folder: its key, its answers, its membership, and what it remembers; all of it for its owner alone. */
export class GroupHome implements GroupStore {
  readonly folder: string;
  /** What it has of a sharded run's keepers. */
  readonly links: LinkFiles;

  constructor(folder: string) {
    this.folder = folder;
    this.links = new LinkFiles(folder);
  }

  /**
   * Makes the folder with a fresh key and one group's answers. The key is written last: with it, the folder is ready.
   * Errors: RUN_EXISTS where there is a key already, DATA_UNKNOWN_GROUP, WRITE_FAILED, DISK_FULL.
   */
  create(survey: Survey, groupId: string): Identity {
    makeOwnFolder(this.folder);
    this.#write('answers', groupFileBytes(survey, groupId));
    return makeIdentity(this.folder);
  }

  /** The same without answers, for who only helps to open sums. Errors: RUN_EXISTS, WRITE_FAILED, DISK_FULL. */
  createWithoutAnswers(): Identity {
    makeOwnFolder(this.folder);
    return makeIdentity(this.folder);
  }

  /** Errors: FOLDER_NOT_READY before `group init`, CHECKPOINT_CORRUPT. */
  identity(): Identity {
    return identityOf(this.#read('identity', identityFileSchema, 'init <folder> --answers FILE').secret);
  }

  /** A survey of this one group. Errors: FOLDER_NOT_READY before `group init`, and those of `readGroupFile`. */
  answers(): Survey {
    this.#expect('answers', 'init <folder> --answers FILE');
    return readGroupFile(this.#path('answers'));
  }

  /** The same; null in a folder that was made without answers. Errors: FOLDER_NOT_READY before any `init`. */
  answersOrNull(): Survey | null {
    this.identity();
    return isFile(this.#path('answers')) ? this.answers() : null;
  }

  /** Errors: FOLDER_NOT_READY before `group join`, CHECKPOINT_CORRUPT. */
  membership(): Membership {
    this.identity();
    return this.#read('membership', membershipSchema, 'join <folder> <invitation>');
  }

  /** The membership, null before `group join`. */
  membershipOrNull(): Membership | null {
    return isFile(this.#path('membership')) ? this.membership() : null;
  }

  /** Becomes a member, perhaps with a readers' key; what is remembered of another run, or under another name, is forgotten. */
  join(membership: Membership, readersKey: Uint8Array | null = null): void {
    const before = this.membershipOrNull();
    const { run, group, aggregatorKey, definition } = membership;
    const same =
      before?.run === run &&
      before.group === group &&
      before.aggregatorKey === aggregatorKey &&
      before.definition.nonce === definition.nonce;
    if (!same || !isFile(this.#path('state'))) {
      this.forget();
      this.saveRecord(newRecord(newGroup(group)));
    }
    if (readersKey !== null) {
      this.#write('readersKey', jsonText({ format: 1, secret: hexOf(readersKey) }));
    }
    this.#write('membership', jsonText(membership));
  }

  /** Leaves nothing of a run but the exported model; the membership goes first, so that no half of it is used. */
  forget(): void {
    for (const name of OF_A_RUN) rmSync(this.#path(name), { force: true });
    this.#forgetLeftovers();
    this.forgetShown(null);
  }

  #forgetLeftovers(): void {
    for (const file of readdirSync(this.folder)) {
      if (isLeftover(file)) rmSync(join(this.folder, file), { force: true });
    }
  }

  /** Keeps other processes out until the returned function is called. Errors: FOLDER_IN_USE. */
  lock(): () => void {
    this.#expect('identity', 'init <folder> --answers FILE');
    const release = takeLock(this.#path('lock'), this.folder);
    this.#forgetLeftovers();
    return release;
  }

  loadRecord(): GroupRecord {
    return this.#read('state', groupRecordSchema, 'join <folder> <invitation>');
  }

  saveRecord(record: GroupRecord): void {
    this.#write('state', jsonText(record));
  }

  loadModel(): Uint8Array | null {
    return this.#bytes('model');
  }

  saveModel(bytes: Uint8Array): void {
    this.#write('model', bytes);
  }

  loadClearModel(): Uint8Array | null {
    return this.#bytes('clearModel');
  }

  saveClearModel(bytes: Uint8Array): void {
    this.#write('clearModel', bytes);
  }

  /** The readers' key that the group joined with; null where it gave none. Errors: CHECKPOINT_CORRUPT. */
  readersKey(): Uint8Array | null {
    if (!isFile(this.#path('readersKey'))) return null;
    return bytesFrom(this.#read('readersKey', readersKeySchema, '').secret);
  }

  loadOutbox(): Uint8Array | null {
    return this.#bytes('outbox');
  }

  saveOutbox(bytes: Uint8Array): void {
    this.#write('outbox', bytes);
  }

  loadShown(place: Place): Uint8Array | null {
    const path = join(this.folder, shownFile(place));
    return isFile(path) ? readFileBytes(path) : null;
  }

  saveShown(place: Place, bytes: Uint8Array): void {
    writeFileAtomic(join(this.folder, shownFile(place)), bytes, { mode: FILE_MODE });
  }

  forgetShown(but: Pick<Place, 'round' | 'attempt'> | null): void {
    for (const name of readdirSync(this.folder)) {
      const keep = but !== null && name.startsWith(`${SHOWN}-${but.round}-${but.attempt}-`);
      if (name.startsWith(`${SHOWN}-`) && !keep) rmSync(join(this.folder, name), { force: true });
    }
  }

  loadOpened(run: string): number {
    return this.#opened()[run] ?? 0;
  }

  saveOpened(run: string, round: number): void {
    this.#write('opened', jsonText({ ...this.#opened(), [run]: round }));
  }

  #opened(): Readonly<Record<string, number>> {
    return isFile(this.#path('opened')) ? this.#read('opened', openedSchema, '') : {};
  }

  /** Errors: CHECKPOINT_CORRUPT. */
  loadLedger(): Ledger | null {
    return isFile(this.#path('ledger')) ? this.#read('ledger', ledgerSchema, '') : null;
  }

  saveLedger(ledger: Ledger): void {
    this.#write('ledger', jsonText(ledger));
  }

  saveExport(bytes: Uint8Array): string {
    this.#write('export', bytes);
    return this.#path('export');
  }

  #path(name: keyof typeof FILES): string {
    return join(this.folder, FILES[name]);
  }

  #write(name: keyof typeof FILES, content: string | Uint8Array): void {
    writeFileAtomic(this.#path(name), content, { mode: FILE_MODE });
  }

  #bytes(name: keyof typeof FILES): Uint8Array | null {
    const path = this.#path(name);
    return isFile(path) ? readFileBytes(path) : null;
  }

  #expect(name: keyof typeof FILES, command: string): void {
    if (isFile(this.#path(name))) return;
    throw new PluralError('FOLDER_NOT_READY', `${this.folder} has no ${FILES[name]} yet`, {
      hint: `First: pluralllm ${this.#verb(name)} ${command.replace('<folder>', this.folder)}`,
    });
  }

  /** What a folder is used with: one with a key and without answers is a committee member's. */
  #verb(missing: keyof typeof FILES): string {
    const member = isFile(this.#path('identity')) && !isFile(this.#path('answers'));
    return member && missing !== 'answers' ? 'committee' : 'group';
  }

  #read<Schema extends z.ZodType>(name: keyof typeof FILES, schema: Schema, command: string) {
    this.#expect(name, command);
    const path = this.#path(name);
    const parsed = schema.safeParse(jsonOrNull(readFileText(path)));
    if (parsed.success) return parsed.data;
    throw new PluralError('CHECKPOINT_CORRUPT', `${path} is not what was written there`, {
      hint: CURES[name] ?? 'Restore it from a backup.',
    });
  }
}

/** What helps where a file is damaged. */
const CURES: Readonly<Partial<Record<keyof typeof FILES, string>>> = {
  identity: 'Restore it from a backup. A new key (another folder) needs a new invitation.',
  ledger: 'Restore it from a backup: without it, nobody knows what the group has spent.',
  readersKey: 'Join again with the same invitation and --readers-key FILE.',
  membership: 'Delete the file and join again with the same invitation.',
  state:
    'Restore it from a backup. Without one: delete the file and join again with the same invitation; nothing that was sent is lost, but the keys of the other groups are believed anew.',
  opened: 'Restore it from a backup: without it, a second sum of a round could be opened.',
};

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
