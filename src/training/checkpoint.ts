import { decode, encode } from 'cborg';
import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import { fileExists, readFileBytes, writeFileAtomic } from '../core/files.ts';

/** File head: says what it is, in which version. */
const MAGIC = 'pluralllm checkpoint 2\n';
const DIGEST_LENGTH = 64;

/** A value that a checkpoint can hold: JSON plus byte strings. */
export type Storable =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly Storable[]
  | { readonly [key: string]: Storable };

/** Plain JSON as a checkpoint takes it: members that are undefined are left out. */
export function asStorable(value: unknown): Storable {
  return JSON.parse(JSON.stringify(value));
}

/** Writes a checkpoint whole or not at all: head, SHA-256 of the content, content as CBOR. */
export function writeCheckpoint(
  path: string,
  content: Storable,
  options: { readonly mode?: number } = {},
): void {
  const body = encode(content);
  writeFileAtomic(path, Buffer.concat([Buffer.from(MAGIC + sha256(body), 'latin1'), body]), options);
}

/** Reads a checkpoint; null where there is none. CHECKPOINT_CORRUPT when its content is not what was written. */
export function readCheckpoint(path: string): unknown {
  if (!fileExists(path)) return null;
  const bytes = readFileBytes(path);
  const bodyStart = MAGIC.length + DIGEST_LENGTH;
  const head = bytes.subarray(0, bodyStart).toString('latin1');
  const body = bytes.subarray(bodyStart);
  if (head !== MAGIC + sha256(body)) {
    throw new PluralError('CHECKPOINT_CORRUPT', `${path} is damaged or not a checkpoint`, {
      hint: 'Delete the file to start this part of the run anew; the other parts are kept.',
    });
  }
  return decode(body);
}
