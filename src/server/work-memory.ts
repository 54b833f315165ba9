/** More is given back after its work: a run with such submissions may be the only one. */
const KEPT_BYTES = 64 * 2 ** 20;

/**
 * Memory for one submission at a time, used again by the next. Fresh memory costs a page fault for each 4 KiB, on a virtual
 * machine more than all that is done with the bytes, and it is given back only when the collector comes by.
 */
export class WorkMemory {
  #kept: Buffer = Buffer.alloc(0);

  /** So many bytes, whatever stands in them; good until the next call. */
  take(bytes: number): Buffer {
    if (bytes > KEPT_BYTES) return Buffer.allocUnsafeSlow(bytes);
    if (bytes > this.#kept.byteLength) this.#kept = Buffer.allocUnsafeSlow(bytes);
    return this.#kept.subarray(0, bytes);
  }
}
