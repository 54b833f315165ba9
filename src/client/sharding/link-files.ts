import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { bytesFrom } from '../../core/bytes.ts';
import { PluralError } from '../../core/errors.ts';
import { isFile, jsonOrNull, readFileText, writeFileAtomic } from '../../core/files.ts';
import {
  storableIntroductions,
  storableLinks,
  storedIntroductionsSchema,
  storedLinksSchema,
} from '../../sharding/frames/stored-links.ts';
import type { GroupLinks } from '../../sharding/group/sharded-group.ts';
import { readCheckpoint, writeCheckpoint } from '../../training/checkpoint.ts';
import { freshSecret } from '../../wire/identity.ts';
import type { LinkStore } from './means.ts';

const FILE_MODE = 0o600;

const NAMES = { seat: 'seat.json', links: 'links.bin' } as const;

const seatSchema = z.strictObject({
  format: z.literal(1),
  /** Of the key by which keepers of a sharded run agree with this group; gone once they do. */
  secret: z.string().regex(/^[0-9a-f]{64}$/),
});

const linksSchema = z.strictObject({ links: storedLinksSchema, introductions: storedIntroductionsSchema });

/** What a group's folder has of the keepers of a sharded run. Errors of all: CHECKPOINT_CORRUPT, WRITE_FAILED, DISK_FULL. */
export class LinkFiles implements LinkStore {
  static readonly names = NAMES;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  seatSecret(): Uint8Array | null {
    if (isFile(this.#path('links'))) return null;
    const path = this.#path('seat');
    if (!isFile(path)) {
      const text = `${JSON.stringify({ format: 1, secret: freshSecret() }, null, 2)}\n`;
      writeFileAtomic(path, text, { mode: FILE_MODE });
    }
    const parsed = seatSchema.safeParse(jsonOrNull(readFileText(path)));
    if (parsed.success) return bytesFrom(parsed.data.secret);
    throw corrupt(path, 'Join a new run: the keepers of this one know the group by what was in it.');
  }

  loadLinks(): GroupLinks | null {
    const path = this.#path('links');
    const content = readCheckpoint(path);
    if (content === null) return null;
    const parsed = linksSchema.safeParse(content);
    if (parsed.success) return parsed.data;
    throw corrupt(path, 'Restore it from a backup: the keepers of the run know the group by what was in it.');
  }

  saveLinks(now: GroupLinks): void {
    // Each round says the same again until an epoch begins or somebody comes.
    if (!isDeepStrictEqual(this.loadLinks(), now)) {
      const { links, introductions } = now;
      const content = { links: storableLinks(links), introductions: storableIntroductions(introductions) };
      writeCheckpoint(this.#path('links'), content, { mode: FILE_MODE });
    }
    // Also what a process left that was killed between the two.
    rmSync(this.#path('seat'), { force: true });
  }

  #path(name: keyof typeof NAMES): string {
    return join(this.#folder, NAMES[name]);
  }
}

function corrupt(path: string, hint: string): PluralError {
  return new PluralError('CHECKPOINT_CORRUPT', `${path} is not what was written there`, { hint });
}
