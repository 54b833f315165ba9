import { float32From } from '../core/bytes.ts';
import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import { FRAME_HEAD_BYTES, frameBytes } from '../wire/framed.ts';
import type { UploadAnswer } from '../wire/http.ts';
import type { ModelRecord } from '../wire/model-record.ts';
import type { AggregatorApi } from './api.ts';
import { isCode, UPLOAD_TROUBLE } from './failures.ts';
import type { Retry } from './retry.ts';

/** Large enough that a request's own cost does not show, small enough for most links. */
const FIRST_CHUNK_BYTES = 256 * 1024;
const SMALLEST_CHUNK_BYTES = 16 * 1024;
/** How often an upload may begin anew before it is given up. */
const MOST_BEGINNINGS = 4;

/** After a break, so many chunks must arrive in a row before a larger one is tried: a try in vain costs its whole size. */
const ARRIVALS_TO_GROW = 8;

/** How many bytes to send or ask for at once: doubled while all goes well, halved when a transfer breaks. */
class ChunkSize {
  readonly #largest: number;
  #bytes: number;
  #hasBroken = false;
  #arrivals = 0;

  constructor(largest: number) {
    this.#largest = largest;
    this.#bytes = Math.min(FIRST_CHUNK_BYTES, largest);
  }

  /** One transfer of a chunk, and what it teaches about the link. */
  async try<Result>(transfer: (bytes: number) => Promise<Result>): Promise<Result> {
    try {
      const result = await transfer(this.#bytes);
      this.#grow();
      return result;
    } catch (thrown) {
      if (isCode(thrown, ['AGGREGATOR_UNREACHABLE'])) this.#shrink();
      throw thrown;
    }
  }

  #grow(): void {
    if (++this.#arrivals < (this.#hasBroken ? ARRIVALS_TO_GROW : 1)) return;
    this.#arrivals = 0;
    this.#bytes = Math.min(this.#largest, 2 * this.#bytes);
  }

  #shrink(): void {
    this.#hasBroken = true;
    this.#arrivals = 0;
    const smallest = Math.min(SMALLEST_CHUNK_BYTES, this.#largest);
    this.#bytes = Math.max(smallest, Math.floor(this.#bytes / 2));
  }
}

/** How far a transfer is. */
export type OnProgress = (doneBytes: number, allBytes: number) => void;

export interface TransferOptions {
  readonly api: AggregatorApi;
  readonly retry: Retry;
  readonly onProgress?: OnProgress;
}

/** Whether an answer is a place to go on from, behind the one before it. */
function goesOn({ received, complete }: UploadAnswer, after: number, size: number): boolean {
  return complete || (received > after && received < size);
}

function astray({ received, size }: UploadAnswer): PluralError {
  return new PluralError('UPLOAD_RANGE', `the upload does not get on: ${received} of ${size} bytes`, {
    hint: 'Try again later; if it stays so, tell the people who run the aggregator.',
  });
}

/**
 * Brings bytes to the aggregator, in chunks, from where an earlier attempt ended; returns their SHA-256, which is their
 * name there. Errors: those of the aggregator, with UPLOAD_* only when beginning anew did not help.
 */
export async function upload(
  { api, retry, onProgress }: TransferOptions,
  bytes: Uint8Array,
): Promise<string> {
  const digest = sha256(bytes);
  const size = bytes.byteLength;
  const chunk = new ChunkSize((await api.info()).limits.chunkBytes);
  const sendFrom = (at: number) =>
    retry(() => chunk.try((length) => api.sendPart(digest, at, bytes.subarray(at, at + length))));
  let fault: unknown;
  for (let beginning = 0; beginning < MOST_BEGINNINGS; beginning++) {
    try {
      let state = await api.beginUpload(digest, size);
      for (let at = -1; goesOn(state, at, size); state = await sendFrom(at)) {
        onProgress?.(state.complete ? size : state.received, size);
        if (state.complete) return digest;
        at = state.received;
      }
      throw astray(state);
    } catch (thrown) {
      if (!isCode(thrown, UPLOAD_TROUBLE)) throw thrown;
      fault = thrown;
    }
  }
  throw fault;
}

/** Fetches the `size` bytes that a checked record names. A broken transfer goes on behind the last byte that came. */
async function download(
  { api, retry, onProgress }: TransferOptions,
  { round, model }: ModelRecord,
  size: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  const chunk = new ChunkSize((await api.info()).limits.chunkBytes);
  for (let received = 0; received < size; ) {
    onProgress?.(received, size);
    const at = received;
    const part = await retry(() =>
      chunk.try((most) => api.parametersPart(round, at, Math.min(most, size - at))),
    );
    bytes.set(part, at);
    received += part.byteLength;
  }
  onProgress?.(size, size);
  if (sha256(bytes) !== model) throw untrusted(`the parameters of round ${round} are not those it signed`);
  return bytes;
}

/** The parameters that a checked record names, `length` float32 numbers. Errors: AGGREGATOR_UNTRUSTED when they are not what the record says. */
export async function downloadModel(
  options: TransferOptions,
  record: ModelRecord,
  length: number,
): Promise<Float32Array> {
  return float32From(await download(options, record, 4 * length));
}

/**
 * The sealed sum that a checked record names, which says itself how long it is. Errors: AGGREGATOR_UNTRUSTED when it is not what the record
 * says, or says that it has more than `most` bytes.
 */
export async function downloadSealedSum(
  options: TransferOptions,
  record: ModelRecord,
  most: number,
): Promise<Uint8Array> {
  const { round } = record;
  const { api, retry } = options;
  const beginning = await retry(() => api.parametersPart(round, 0, FRAME_HEAD_BYTES));
  const size = frameBytes(beginning);
  if (size === null || size > most) {
    throw untrusted(
      `the sealed sum of round ${round} has ${size ?? 'too few'} bytes, at most ${most} can be`,
    );
  }
  return download(options, record, size);
}

function untrusted(what: string): PluralError {
  return new PluralError('AGGREGATOR_UNTRUSTED', what, {
    hint: 'Nothing of it was used. Ask the people who run the aggregator.',
  });
}
