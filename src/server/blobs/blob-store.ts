/** Where bytes lie that are too large for the database. Keys are made of `[a-z0-9-./]`; a key has one content for ever, or none. */
export interface BlobStore {
  /**
   * Writes a whole blob or nothing; the same key again replaces it. `durable`: it survives a power failure before this
   * returns; parts of uploads need not, for their whole is checked by its digest. Errors: WRITE_FAILED, DISK_FULL, STORE_UNAVAILABLE.
   */
  write(key: string, bytes: Uint8Array, options: { readonly durable: boolean }): Promise<void>;
  /**
   * Null where there is none. `into` is memory that the store may use for it, if it is large enough: the answer is then a
   * part of it. Errors: FILE_UNREADABLE, STORE_UNAVAILABLE.
   */
  read(key: string, into?: Buffer): Promise<Buffer | null>;
  /** Bytes from `offset` on, at most `length` (fewer at the end); null where there is no such blob. */
  readRange(key: string, offset: number, length: number): Promise<Buffer | null>;
  /** Removes blobs; one that is not there is no error. */
  delete(keys: readonly string[]): Promise<void>;
  close(): Promise<void>;
}
