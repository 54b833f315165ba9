import type { S3ClientConfig } from '@aws-sdk/client-s3';

/** Where the bucket is and who asks. */
export interface S3Options {
  /** Address of an S3-compatible server; without it, AWS. */
  readonly endpoint?: string | undefined;
  readonly region: string;
  readonly bucket: string;
  /** Folder in the bucket, without a slash at its ends; empty for none. */
  readonly prefix: string;
  /** The bucket in the path, not in the host name: what most S3-compatible servers need. */
  readonly forcePathStyle: boolean;
  /** Both or neither; without them the standard chain of environment, files and instance roles. */
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
}

/** Of one request, before it is given up. */
export const ATTEMPTS = 3;
const CONNECTION_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 20_000;
/** The time to connect includes the wait for a free socket: let there be no such wait. */
const MAX_SOCKETS = 256;

/** Settings of the client: bounded waits, and nothing that S3-compatible servers often lack. */
export function s3ClientConfig(options: S3Options): S3ClientConfig {
  const { endpoint, region, forcePathStyle, accessKeyId, secretAccessKey } = options;
  const given = accessKeyId !== undefined && secretAccessKey !== undefined;
  return {
    region,
    forcePathStyle,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(given ? { credentials: { accessKeyId, secretAccessKey } } : {}),
    maxAttempts: ATTEMPTS,
    // Checksums in headers are newer than many S3-compatible servers, which then refuse or garble blobs.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Otherwise each blob of 2 MB and more opens a connection of its own.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      socketTimeout: IDLE_TIMEOUT_MS,
      httpAgent: { maxSockets: MAX_SOCKETS },
      httpsAgent: { maxSockets: MAX_SOCKETS },
    },
  };
}
