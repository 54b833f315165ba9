import { timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import { fileExists, readFileText, writeFileAtomic } from '../core/files.ts';
import { freshSecret, type Identity, identityOf } from '../wire/identity.ts';

/** Files of an aggregator's folder that only its owner may read. */
export const KEY_FILES = { identity: 'identity.key', admin: 'admin.key' } as const;

const OWNER_ONLY = 0o600;

/** Makes the keys of a new aggregator. */
export function makeKeys(folder: string): void {
  for (const name of Object.values(KEY_FILES)) {
    writeFileAtomic(join(folder, name), `${freshSecret()}\n`, { mode: OWNER_ONLY });
  }
}

function secretIn(folder: string, name: string): string {
  const path = join(folder, name);
  const secret = fileExists(path) ? readFileText(path).trim() : '';
  if (/^[0-9a-f]{64}$/.test(secret)) return secret;
  throw new PluralError('FOLDER_NOT_READY', `${path} is missing or damaged`, {
    hint: `Make the folder with "pluralllm aggregator init", or restore the file from a backup.`,
  });
}

/** The key that models are signed with. Errors: FOLDER_NOT_READY. */
export function readIdentity(folder: string): Identity {
  return identityOf(secretIn(folder, KEY_FILES.identity));
}

/** The admin key in clear, for commands that run beside the aggregator. Errors: FOLDER_NOT_READY. */
export function readAdminKey(folder: string): string {
  return secretIn(folder, KEY_FILES.admin);
}

/** Whether a header is `Bearer <admin key>`; takes as long for a near miss as for a wild guess. */
export function isAdmin(authorization: string | undefined, adminKey: string): boolean {
  const given = authorization?.startsWith('Bearer ') === true ? authorization.slice('Bearer '.length) : '';
  return timingSafeEqual(Buffer.from(sha256(given)), Buffer.from(sha256(adminKey)));
}
