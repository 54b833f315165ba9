import type { BlobStore } from '../../src/server/blobs/blob-store.ts';

/** A store whose next write that fits waits, as on a slow disk, until it is let go. */
export class HeldBlobs implements BlobStore {
  readonly #blobs: BlobStore;
  #fits: (key: string) => boolean = () => false;
  #arrive: () => void = () => undefined;
  #released: Promise<void> = Promise.resolve();

  constructor(blobs: BlobStore) {
    this.#blobs = blobs;
  }

  holdWrite(fits: (key: string) => boolean): { readonly arrived: Promise<void>; release(): void } {
    let release = () => {};
    this.#fits = fits;
    this.#released = new Promise((resolve) => {
      release = resolve;
    });
    const arrived = new Promise<void>((resolve) => {
      this.#arrive = resolve;
    });
    return { arrived, release };
  }

  async write(key: string, bytes: Uint8Array, options: { readonly durable: boolean }): Promise<void> {
    if (this.#fits(key)) {
      this.#fits = () => false;
      this.#arrive();
      await this.#released;
    }
    await this.#blobs.write(key, bytes, options);
  }

  read(key: string, into?: Buffer): Promise<Buffer | null> {
    return this.#blobs.read(key, into);
  }

  readRange(key: string, offset: number, length: number): Promise<Buffer | null> {
    return this.#blobs.readRange(key, offset, length);
  }

  delete(keys: readonly string[]): Promise<void> {
    return this.#blobs.delete(keys);
  }

  close(): Promise<void> {
    return this.#blobs.close();
  }
}
