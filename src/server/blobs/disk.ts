import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { unreadable, writeError } from '../../core/files.ts';
import { checkKey, checkRange } from './blob-key.ts';
import type { BlobStore } from './blob-store.ts';

const OWNER_FOLDER = 0o700;
const OWNER_FILE = 0o600;

/** Where blobs stand until they are whole; no key begins with a dot. */
const UNFINISHED = '.unfinished';

/** What stands there for longer belongs to no process that lives: replicas that share a folder write there at once. */
const UNFINISHED_KEPT_MS = 3_600_000;

/** A delete may remove a folder as empty before a blob is moved into it; not this often in a row. */
const MOVE_ATTEMPTS = 10;

function hasCode(thrown: unknown, ...codes: readonly string[]): boolean {
  return thrown instanceof Error && 'code' in thrown && codes.includes(String(thrown.code));
}

/** Nothing there, or a blob where the key has a folder, or a folder where the key has a blob. */
function isMissing(thrown: unknown): boolean {
  return hasCode(thrown, 'ENOENT', 'ENOTDIR', 'EISDIR');
}

/** Makes what was renamed or made in a folder last. Windows cannot open a folder; there the rename itself has to do. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function writeWhole(path: string, bytes: Uint8Array, durable: boolean): Promise<void> {
  const file = await open(path, 'wx', OWNER_FILE);
  try {
    await file.writeFile(bytes);
    if (durable) await file.sync();
  } finally {
    await file.close();
  }
}

interface Range {
  readonly offset: number;
  readonly length: number;
}

/** At most `length` bytes, in `into` where that is large enough; a read may give fewer than it was asked for before the end. */
async function readBytes(file: FileHandle, { offset, length }: Range, into?: Buffer): Promise<Buffer> {
  const { size } = await file.stat();
  const wanted = Math.max(0, Math.min(length, size - offset));
  const fits = into !== undefined && into.byteLength >= wanted;
  const buffer = fits ? into.subarray(0, wanted) : Buffer.allocUnsafeSlow(wanted);
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

class DiskBlobs implements BlobStore {
  readonly #folder: string;
  /** Sets its unfinished blobs apart from those of others. */
  readonly #name = randomUUID();
  #written = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async write(key: string, bytes: Uint8Array, { durable }: { readonly durable: boolean }): Promise<void> {
    const path = this.#pathOf(key);
    const unfinished = join(this.#folder, UNFINISHED, `${this.#name}-${this.#written++}`);
    try {
      await writeWhole(unfinished, bytes, durable);
      await this.#move(unfinished, path);
      if (durable) await this.#syncFoldersAbove(path);
    } catch (thrown) {
      await rm(unfinished, { force: true }).catch(() => undefined);
      throw writeError(path, thrown);
    }
  }

  async read(key: string, into?: Buffer): Promise<Buffer | null> {
    return await this.#read(key, { offset: 0, length: Number.MAX_SAFE_INTEGER }, into);
  }

  async readRange(key: string, offset: number, length: number): Promise<Buffer | null> {
    checkRange(offset, length);
    return await this.#read(key, { offset, length });
  }

  async #read(key: string, range: Range, into?: Buffer): Promise<Buffer | null> {
    const path = this.#pathOf(key);
    try {
      const file = await open(path, 'r');
      try {
        return await readBytes(file, range, into);
      } finally {
        await file.close();
      }
    } catch (thrown) {
      if (isMissing(thrown)) return null;
      throw unreadable(path, thrown);
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const path of keys.map((key) => this.#pathOf(key))) {
      try {
        await unlink(path);
        await this.#removeEmptyFoldersAbove(path);
      } catch (thrown) {
        if (!isMissing(thrown)) throw writeError(path, thrown);
      }
    }
  }

  async close(): Promise<void> {}

  #pathOf(key: string): string {
    checkKey(key);
    return join(this.#folder, key);
  }

  /** From the folder of a blob up to the first under the store's own. */
  #foldersAbove(path: string): string[] {
    const folders: string[] = [];
    for (let at = dirname(path); at !== this.#folder; at = dirname(at)) folders.push(at);
    return folders;
  }

  async #move(from: string, to: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await rename(from, to);
      } catch (thrown) {
        if (!hasCode(thrown, 'ENOENT') || attempt === MOVE_ATTEMPTS) throw thrown;
        await mkdir(dirname(to), { recursive: true, mode: OWNER_FOLDER });
      }
    }
  }

  /** All of them: an earlier write that need not last may have made a folder without a sync. */
  async #syncFoldersAbove(path: string): Promise<void> {
    for (const folder of [...this.#foldersAbove(path), this.#folder]) {
      await syncFolder(folder).catch((thrown: unknown) => {
        // Gone with its blobs, by a delete at the same time: then there is nothing to make last.
        if (!hasCode(thrown, 'ENOENT')) throw thrown;
      });
    }
  }

  async #removeEmptyFoldersAbove(path: string): Promise<void> {
    for (const folder of this.#foldersAbove(path)) {
      try {
        await rmdir(folder);
      } catch {
        return;
      }
    }
  }
}

async function removeLeftOvers(unfinished: string): Promise<void> {
  for (const name of await readdir(unfinished)) {
    const path = join(unfinished, name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > UNFINISHED_KEPT_MS) await rm(path, { recursive: true, force: true });
  }
}

/**
 * Blobs as files in a folder, readable by their owner alone; makes the folder. Several processes of one owner may share
 * it. What an earlier process left unfinished an hour ago is removed. Errors: WRITE_FAILED, DISK_FULL.
 */
export async function diskBlobs(path: string): Promise<BlobStore> {
  const folder = resolve(path);
  const unfinished = join(folder, UNFINISHED);
  try {
    await mkdir(unfinished, { recursive: true, mode: OWNER_FOLDER });
    await removeLeftOvers(unfinished);
    await syncFolder(dirname(folder));
  } catch (thrown) {
    throw writeError(folder, thrown);
  }
  return new DiskBlobs(folder);
}
