import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const WINDOW = 64;

/** Whether some 64 bytes of a secret, from any multiple of four on, stand anywhere in a text. */
export function hasTraceOf(secret: Uint8Array, text: Buffer): boolean {
  for (let at = 0; at + WINDOW <= secret.byteLength; at += 4) {
    if (text.includes(Buffer.from(secret.subarray(at, at + WINDOW)))) return true;
  }
  return false;
}

/** All files under a folder, one behind the other. */
export function contentOf(folder: string): Buffer {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
  return Buffer.concat(files.map((path) => readFileSync(path)));
}

/** A key as it may stand somewhere: its bytes, in hex digits of either case, in base64. */
export function formsOf(key: Uint8Array): Buffer[] {
  const bytes = Buffer.from(key);
  const texts = [bytes.toString('hex'), bytes.toString('hex').toUpperCase()];
  return [bytes, ...[...texts, bytes.toString('base64').slice(0, 42)].map((text) => Buffer.from(text))];
}
