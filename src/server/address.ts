import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { fileExists, jsonOrNull, readFileText, writeFileAtomic } from '../core/files.ts';
import type { Settings } from './settings.ts';

const ADDRESS_FILE = 'address.json';
const addressSchema = z.object({ url: z.url() });

/** Writes down where an aggregator listens, for the commands that are run beside it. */
export function noteAddress(folder: string, url: string): void {
  writeFileAtomic(join(folder, ADDRESS_FILE), `${JSON.stringify({ url })}\n`);
}

/** The aggregator does not listen any more. */
export function forgetAddress(folder: string): void {
  rmSync(join(folder, ADDRESS_FILE), { force: true });
}

/** Where the aggregator of a folder is reached: where it said so, else where its settings put it. */
export function addressIn(folder: string, { listen, tls }: Settings): string {
  const path = join(folder, ADDRESS_FILE);
  const noted = addressSchema.safeParse(fileExists(path) ? jsonOrNull(readFileText(path)) : null);
  if (noted.success) return noted.data.url;
  return `${tls === null ? 'http' : 'https'}://${listen.host}:${listen.port}`;
}
