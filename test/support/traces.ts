import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const WINDOW = 64;
/** So many pieces of a secret are looked for, evenly from all of it. */
const MOST_PIECES = 200;

/** Pieces of 64 bytes of a secret that are not in what everybody knows. */
function piecesOf(secret: Uint8Array, known: Buffer): Buffer[] {
  const places = Math.floor((secret.byteLength - WINDOW) / 4) + 1;
  const stride = Math.max(1, Math.floor(places / MOST_PIECES));
  return Array.from({ length: Math.ceil(places / stride) }, (_, index) => {
    const at = 4 * stride * index;
    return Buffer.from(secret.subarray(at, at + WINDOW));
  }).filter((piece) => !known.includes(piece));
}

/** Whether some 64 bytes of a secret stand anywhere in a text; throws where there is nothing to look for. */
export function hasTraceOf(secret: Uint8Array, text: Buffer, known: Uint8Array = new Uint8Array()): boolean {
  const pieces = piecesOf(secret, Buffer.from(known));
  if (pieces.length < 10) throw new Error(`only ${pieces.length} pieces of the secret are secret`);
  return pieces.some((piece) => text.includes(piece));
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
