import type { GetObjectCommandInput, GetObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import { mapOrdered } from '../../core/concurrent.ts';
import { PluralError } from '../../core/errors.ts';
import { checkKey, checkRange } from './blob-key.ts';
import type { BlobStore } from './blob-store.ts';
import { ATTEMPTS, type S3Options, s3ClientConfig } from './s3-config.ts';

type Sdk = typeof import('@aws-sdk/client-s3');

const DELETES_AT_ONCE = 8;

function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  return 'code' in thrown ? String(thrown.code) : thrown.name;
}

/** What is needed of the client's answer. */
type Answer = Pick<GetObjectCommandOutput, 'Body' | 'ContentRange'>;

interface Fetched {
  readonly bytes: Buffer;
  /** Whether the server gave the range only. */
  readonly isRange: boolean;
}

/** The same bytes, not a copy. */
function bufferOver({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

class S3Blobs implements BlobStore {
  readonly #sdk: Sdk;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor(sdk: Sdk, options: S3Options) {
    this.#sdk = sdk;
    this.#client = new sdk.S3Client(s3ClientConfig(options));
    this.#bucket = options.bucket;
    this.#prefix = options.prefix === '' ? '' : `${options.prefix}/`;
  }

  async write(key: string, bytes: Uint8Array): Promise<void> {
    const command = new this.#sdk.PutObjectCommand({ ...this.#locate(key), Body: bytes });
    try {
      await this.#client.send(command);
    } catch (thrown) {
      throw this.#unavailable(`write ${key} to`, thrown);
    }
  }

  async read(key: string): Promise<Buffer | null> {
    const answer = await this.#get(key, this.#locate(key));
    return answer === null ? null : answer.bytes;
  }

  async readRange(key: string, offset: number, length: number): Promise<Buffer | null> {
    checkRange(offset, length);
    // A range of HTTP has a byte at least; whether there is a blob must be asked for in any case.
    const last = offset + Math.max(length, 1) - 1;
    const answer = await this.#get(key, { ...this.#locate(key), Range: `bytes=${offset}-${last}` });
    if (answer === null) return null;
    // A server may answer a range with the whole.
    const start = answer.isRange ? 0 : offset;
    return answer.bytes.subarray(start, start + length);
  }

  /** One by one: the request for many at once is not there on all S3-compatible servers. */
  async delete(keys: readonly string[]): Promise<void> {
    await mapOrdered(keys, DELETES_AT_ONCE, async (key) => {
      const command = new this.#sdk.DeleteObjectCommand(this.#locate(key));
      try {
        await this.#client.send(command);
      } catch (thrown) {
        throw this.#unavailable(`delete ${key} from`, thrown);
      }
    });
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  #locate(key: string): { Bucket: string; Key: string } {
    checkKey(key);
    return { Bucket: this.#bucket, Key: `${this.#prefix}${key}` };
  }

  async #get(key: string, input: GetObjectCommandInput): Promise<Fetched | null> {
    let failure: unknown;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const answer = await this.#ask(key, input);
      if (answer === null) return null;
      try {
        const bytes = (await answer.Body?.transformToByteArray()) ?? new Uint8Array();
        return { bytes: bufferOver(bytes), isRange: answer.ContentRange !== undefined };
      } catch (thrown) {
        // The client repeats a request that gets no answer, but not one whose answer breaks off.
        failure = thrown;
      }
    }
    throw this.#unavailable(`read ${key} from`, failure);
  }

  async #ask(key: string, input: GetObjectCommandInput): Promise<Answer | null> {
    try {
      return await this.#client.send(new this.#sdk.GetObjectCommand(input));
    } catch (thrown) {
      const name = thrown instanceof Error ? thrown.name : '';
      if (name === 'NoSuchKey') return null;
      if (name === 'InvalidRange') return { ContentRange: 'beyond the end' };
      throw this.#unavailable(`read ${key} from`, thrown);
    }
  }

  #unavailable(what: string, thrown: unknown): PluralError {
    return new PluralError(
      'STORE_UNAVAILABLE',
      `cannot ${what} bucket ${this.#bucket} (${reasonOf(thrown)})`,
      {
        hint: 'Check address and name of the bucket, and that the credentials let get, put, delete and list.',
        cause: thrown,
      },
    );
  }
}

/**
 * Blobs in a bucket of S3 or of a server that speaks its protocol. Asks once whether the bucket answers.
 * Errors: STORE_UNAVAILABLE.
 */
export async function s3Blobs(options: S3Options): Promise<BlobStore> {
  const blobs = new S3Blobs(await import('@aws-sdk/client-s3'), options);
  try {
    await blobs.readRange('is-the-bucket-there', 0, 0);
  } catch (thrown) {
    await blobs.close();
    throw thrown;
  }
  return blobs;
}
