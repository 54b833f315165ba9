import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { PluralError } from '../../core/errors.ts';
import { isFile, jsonOrNull, readFileText, writeFileAtomic } from '../../core/files.ts';
import { takeLock } from '../../core/lock-file.ts';
import type { KeptShare } from '../../sharding/deposits/kept-shares.ts';
import type { Spent } from '../../sharding/keeper/query-budget.ts';
import type { KeeperMemory } from '../../sharding/keeper/setup.ts';
import { keeperMemorySchema, storableMemory } from '../../sharding/keeper/stored-memory.ts';
import { readCheckpoint, writeCheckpoint } from '../../training/checkpoint.ts';
import { freshSecret, type Identity, identityOf, publicKeySchema } from '../../wire/identity.ts';
import { countSchema, runDefinitionSchema, runIdSchema } from '../../wire/run-definition.ts';
import { depositIdSchema } from '../../wire/stage-deposit.ts';
import { IDENTITY_FILE, identityFileSchema, makeIdentity, makeOwnFolder } from '../identity-file.ts';

const FILE_MODE = 0o600;

const FILES = {
  identity: IDENTITY_FILE,
  membership: 'membership.json',
  seat: 'seat.json',
  memory: 'stage.bin',
  shares: 'shares.bin',
  spent: 'queries.json',
  lock: 'lock',
} as const;
type Name = keyof typeof FILES;

/** Whether a file is what a process that was killed had begun to write. */
function isLeftover(file: string): boolean {
  return file.endsWith('.tmp') && Object.values(FILES).some((name) => file.startsWith(`${name}.`));
}

const secretSchema = z.string().regex(/^[0-9a-f]{64}$/);

const membershipSchema = z.strictObject({
  format: z.literal(1),
  url: z.string(),
  run: runIdSchema,
  aggregatorKey: publicKeySchema,
  ca: z.string().nullable(),
  definition: runDefinitionSchema,
  stage: z.int().min(0),
  standby: z.boolean(),
  /** Public keys of the keepers that it accepts; null: any. */
  keepers: z.array(publicKeySchema).nullable(),
});
export type KeeperMembership = z.output<typeof membershipSchema>;

/** What a seat is taken with: both are gone once the stage and its links are stored. */
const seatSecretsSchema = z.strictObject({
  format: z.literal(1),
  agreement: secretSchema,
  own: secretSchema,
});
export type SeatSecrets = Pick<z.output<typeof seatSecretsSchema>, 'agreement' | 'own'>;

const sharesSchema = z.array(
  z.strictObject({
    stage: countSchema,
    epoch: countSchema,
    round: countSchema,
    id: depositIdSchema,
    from: publicKeySchema,
    share: z.instanceof(Uint8Array),
  }),
);

const spentSchema = z.strictObject({
  format: z.literal(1),
  round: countSchema,
  passes: z.array(z.tuple([publicKeySchema, countSchema])),
});

const storedSchema = keeperMemorySchema.extend({ turned: z.boolean() });

/** What a keeper goes on from, and whether its stage is turned for a next epoch that is not settled. */
export interface StoredKeeper {
  readonly memory: KeeperMemory;
  readonly turned: boolean;
}

/** A keeper's folder: its key, its membership, and its stage; all of it for its owner alone. */
export class KeeperHome {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes the folder with a fresh key. Errors: RUN_EXISTS where there is one already, WRITE_FAILED, DISK_FULL. */
  create(): Identity {
    makeOwnFolder(this.folder);
    return makeIdentity(this.folder);
  }

  /** Errors: FOLDER_NOT_READY before `keeper init`, CHECKPOINT_CORRUPT. */
  identity(): Identity {
    return identityOf(this.#read('identity', identityFileSchema, 'init').secret);
  }

  /** Errors: FOLDER_NOT_READY before `keeper join`, CHECKPOINT_CORRUPT. */
  membership(): KeeperMembership {
    this.identity();
    return this.#read('membership', membershipSchema, 'join');
  }

  membershipOrNull(): KeeperMembership | null {
    return isFile(this.#path('membership')) ? this.membership() : null;
  }

  saveMembership(membership: KeeperMembership): void {
    this.#write('membership', membership);
  }

  /** What the seat of a run is taken with: drawn once. A folder keeps one stage of one run. */
  seatSecrets(): SeatSecrets {
    if (!isFile(this.#path('seat'))) {
      this.#write('seat', { format: 1, agreement: freshSecret(), own: freshSecret() });
    }
    return this.#read('seat', seatSecretsSchema, 'join');
  }

  get hasSeatSecrets(): boolean {
    return isFile(this.#path('seat'));
  }

  get hasStage(): boolean {
    return isFile(this.#path('memory'));
  }

  /** Null before the first. Errors: CHECKPOINT_CORRUPT. */
  load(): StoredKeeper | null {
    const content = readCheckpoint(this.#path('memory'));
    if (content === null) return null;
    const parsed = storedSchema.safeParse(content);
    if (!parsed.success) throw this.#corrupt('memory');
    // Where a process was killed between storing the stage and forgetting what it began with.
    rmSync(this.#path('seat'), { force: true });
    const { turned, ...memory } = parsed.data;
    return { memory, turned };
  }

  /** Stores the stage whole or not at all; what it began with is needed no more. */
  save({ memory, turned }: StoredKeeper): void {
    writeCheckpoint(this.#path('memory'), { ...storableMemory(memory), turned }, { mode: FILE_MODE });
    rmSync(this.#path('seat'), { force: true });
  }

  /** Shares of other stages' deposits; beside the stage, for one may come when that must not be stored. Errors: CHECKPOINT_CORRUPT. */
  loadShares(): readonly KeptShare[] {
    const content = readCheckpoint(this.#path('shares'));
    const parsed = sharesSchema.safeParse(content ?? []);
    if (parsed.success) return parsed.data;
    throw this.#corrupt('shares');
  }

  saveShares(shares: readonly KeptShare[]): void {
    const content = shares.map(({ stage, epoch, round, id, from, share }) => {
      return { stage, epoch, round, id, from, share };
    });
    writeCheckpoint(this.#path('shares'), content, { mode: FILE_MODE });
  }

  /** Passes of predictions that groups may have had; null before the first. Errors: CHECKPOINT_CORRUPT. */
  loadSpent(): Spent | null {
    if (!isFile(this.#path('spent'))) return null;
    const { round, passes } = this.#read('spent', spentSchema, 'join');
    return { round, passes };
  }

  saveSpent({ round, passes }: Spent): void {
    this.#write('spent', { format: 1, round, passes });
  }

  /** Keeps other processes out until the returned function is called. Errors: FOLDER_IN_USE, FOLDER_NOT_READY. */
  lock(): () => void {
    this.#expect('identity', 'init');
    const release = takeLock(this.#path('lock'), this.folder);
    // A process that was killed in the middle of writing leaves a stage that would never be forgotten.
    for (const file of readdirSync(this.folder)) {
      if (isLeftover(file)) rmSync(join(this.folder, file), { force: true });
    }
    return release;
  }

  #path(name: Name): string {
    return join(this.folder, FILES[name]);
  }

  #write(name: Name, content: unknown): void {
    writeFileAtomic(this.#path(name), `${JSON.stringify(content, null, 2)}\n`, { mode: FILE_MODE });
  }

  #expect(name: Name, command: 'init' | 'join'): void {
    if (isFile(this.#path(name))) return;
    const what = command === 'init' ? this.folder : `${this.folder} <invitation>`;
    throw new PluralError('FOLDER_NOT_READY', `${this.folder} has no ${FILES[name]} yet`, {
      hint: `First: pluralllm keeper ${command} ${what}`,
    });
  }

  #corrupt(name: Name): PluralError {
    return new PluralError('CHECKPOINT_CORRUPT', `${this.#path(name)} is not what was written there`, {
      hint: 'Restore it from a backup, or let somebody who stands by take over the stage.',
    });
  }

  #read<Schema extends z.ZodType>(name: Name, schema: Schema, command: 'init' | 'join'): z.output<Schema> {
    this.#expect(name, command);
    const parsed = schema.safeParse(jsonOrNull(readFileText(this.#path(name))));
    if (parsed.success) return parsed.data;
    throw this.#corrupt(name);
  }
}
