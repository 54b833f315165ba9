import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';
import { PluralError } from '../core/errors.ts';
import { fileExists, makeFolder, writeError, writeFileAtomic } from '../core/files.ts';
import { parseOptions } from '../core/options.ts';
import { DATABASE_FOLDER } from './compose.ts';
import { makeKeys, readIdentity } from './keys.ts';
import { checkListen, SETTINGS_FILE, settingsSchema, settingsYaml } from './settings.ts';
import { openEmbedded } from './store/database.ts';

const OWNER_ONLY = 0o700;

/** The embedded database, made beside its place and put there whole: what a kill leaves is not taken for one. */
async function makeDatabase(folder: string): Promise<void> {
  const place = join(folder, DATABASE_FOLDER);
  const making = `${place}.making`;
  rmSync(making, { recursive: true, force: true });
  const database = await openEmbedded(making);
  await database.close();
  try {
    renameSync(making, place);
  } catch (thrown) {
    throw writeError(place, thrown);
  }
}

/**
 * Makes the folder of a new aggregator: keys, settings, and the embedded database unless the settings name another. The
 * settings come last, so a folder that has them is complete. Errors: RUN_EXISTS, CONFIG_INVALID, CONFIG_CONFLICT, WRITE_FAILED, DISK_FULL.
 */
export async function initAggregator(
  folder: string,
  given: z.input<typeof settingsSchema>,
): Promise<{ publicKey: string }> {
  const settings = parseOptions('aggregator', settingsSchema, given);
  checkListen(settings);
  const file = join(folder, SETTINGS_FILE);
  if (fileExists(file)) {
    throw new PluralError('RUN_EXISTS', `${folder} already holds an aggregator`, {
      hint: `Start it with "pluralllm aggregator serve ${folder}", or choose another folder.`,
    });
  }
  makeFolder(folder, OWNER_ONLY);
  makeKeys(folder);
  if (settings.database === null) await makeDatabase(folder);
  writeFileAtomic(file, settingsYaml(settings));
  return { publicKey: readIdentity(folder).publicKey };
}
