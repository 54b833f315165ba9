import { join } from 'node:path';
import { z } from 'zod';
import { PluralError } from '../core/errors.ts';
import { isFile, makeFolder, writeFileAtomic } from '../core/files.ts';
import { freshSecret, type Identity, identityOf } from '../wire/identity.ts';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** In the folder of a group or a keeper: who it is in runs. */
export const IDENTITY_FILE = 'identity.json';

export const identityFileSchema = z.strictObject({
  format: z.literal(1),
  /** The private key: never leaves this file. */
  secret: z.string().regex(/^[0-9a-f]{64}$/),
});

/** Makes a folder for its owner alone. Errors: RUN_EXISTS where there is a key already, WRITE_FAILED. */
export function makeOwnFolder(folder: string): void {
  if (isFile(join(folder, IDENTITY_FILE))) {
    throw new PluralError('RUN_EXISTS', `${folder} holds a key already`, {
      hint: 'It is a name in runs: go on with it, or choose another folder.',
    });
  }
  makeFolder(folder, FOLDER_MODE);
}

/** Draws a fresh key and writes it. Errors: WRITE_FAILED, DISK_FULL. */
export function makeIdentity(folder: string): Identity {
  const secret = freshSecret();
  const text = `${JSON.stringify({ format: 1, secret }, null, 2)}\n`;
  writeFileAtomic(join(folder, IDENTITY_FILE), text, { mode: FILE_MODE });
  return identityOf(secret);
}
