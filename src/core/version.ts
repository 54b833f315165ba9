import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

/** Two levels up from src/core and from dist/core alike. */
export const PACKAGE_ROOT = fileURLToPath(new URL('../../', import.meta.url));

const packageFile = z.object({ version: z.string() });

/** The version that a package.json states. */
export function versionIn(path: string): string {
  return packageFile.parse(JSON.parse(readFileSync(path, 'utf8'))).version;
}

/** Version of this package. */
export function ownVersion(): string {
  return versionIn(join(PACKAGE_ROOT, 'package.json'));
}
