import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { fileExists, jsonOrNull, readFileText, writeFileAtomic } from '../core/files.ts';
import type { Settings } from './settings.ts';

const ADDRESS_FILE = 'address.json';
const addressSchema = z.object({ url: z.url() });

function noted(folder: string): string | null {
  const path = join(folder, ADDRESS_FILE);
  const parsed = addressSchema.safeParse(fileExists(path) ? jsonOrNull(readFileText(path)) : null);
  return parsed.success ? parsed.data.url : null;
}

/**
 * Writes down where an aggregator listens, for the commands that are run beside it. A folder that can only be read, such as
 * mounted secrets, is no reason not to serve: commands then go by the settings.
 */
export function noteAddress(folder: string, url: string): void {
  try {
    writeFileAtomic(join(folder, ADDRESS_FILE), `${JSON.stringify({ url })}\n`);
  } catch {}
}

/** The aggregator does not listen there any more; the note of another replica that shares the folder stays. */
export function forgetAddress(folder: string, url: string): void {
  try {
    if (noted(folder) === url) rmSync(join(folder, ADDRESS_FILE), { force: true });
  } catch {}
}

/** Where the aggregator of a folder is reached: where it said so, else where its settings put it. */
export function addressIn(folder: string, { listen, tls }: Settings): string {
  return noted(folder) ?? `${tls === null ? 'http' : 'https'}://${listen.host}:${listen.port}`;
}
