import { z } from 'zod';
import { AdminApi } from '../../src/client/admin-api.ts';
import { AggregatorApi } from '../../src/client/api.ts';
import { once, retryWith } from '../../src/client/retry.ts';
import { type HttpTransport, httpTransport } from '../../src/client/transport.ts';
import { initAggregator } from '../../src/server/init.ts';
import { readAdminKey } from '../../src/server/keys.ts';
import type { Identity } from '../../src/wire/identity.ts';
import { Balancer } from './balancer.ts';
import { eventIn } from './deployment.ts';
import type { CommandLine, Running } from './processes.ts';
import { type FakeS3, startS3 } from './s3.ts';

/** One aggregator process of several. */
export interface Replica {
  readonly process: Running;
  readonly url: string;
}

/** Where the replicas keep what they share. */
export interface Shared {
  readonly folder: string;
  readonly databaseUrl: string;
  readonly schema: string;
}

/** Small, so that an update is uploaded in several chunks. */
const CHUNK_BYTES = 16_384;
const LIMITS = { chunkBytes: CHUNK_BYTES, anonymousPerMinute: 1_000_000, perKeyPerMinute: 1_000_000 };
const listening = z.object({ type: z.literal('listening'), url: z.string(), publicKey: z.string() });

/** Replicas of one aggregator with one folder, one database and one bucket, behind a balancer of load. */
export class Replicas {
  readonly balancer = new Balancer();
  /** What the replicas take for their bucket: requests can be held on their way there. */
  readonly bucket = new Balancer();
  /** Origin that groups use. */
  url = '';
  publicKey = '';
  all: readonly Replica[] = [];
  readonly #cli: CommandLine;
  readonly #shared: Shared;
  readonly #s3: FakeS3;
  readonly #transports: HttpTransport[] = [];

  private constructor(cli: CommandLine, shared: Shared, s3: FakeS3) {
    this.#cli = cli;
    this.#shared = shared;
    this.#s3 = s3;
  }

  static async start(cli: CommandLine, shared: Shared, count: number): Promise<Replicas> {
    const s3 = await startS3();
    const replicas = new Replicas(cli, shared, s3);
    const { bucket, prefix, region, endpoint = '', forcePathStyle } = s3.options;
    replicas.bucket.aim([endpoint]);
    const at = { bucket, prefix, region, endpoint: await replicas.bucket.listen(), forcePathStyle };
    const { folder, databaseUrl } = shared;
    await initAggregator(folder, { database: databaseUrl, blobs: { kind: 's3', ...at }, limits: LIMITS });
    replicas.url = await replicas.balancer.listen();
    await Promise.all(Array.from({ length: count }, () => replicas.startOne()));
    return replicas;
  }

  /** Starts one more, and sends requests to it too. */
  async startOne(): Promise<Replica> {
    const { folder, databaseUrl, schema } = this.#shared;
    const { accessKeyId, secretAccessKey } = this.#s3.options;
    const flags = ['--port', '0', '--schema', schema, '--log-level', 'info', '--json'];
    const process = this.#cli.start(['aggregator', 'serve', folder, ...flags], {
      DATABASE_URL: databaseUrl,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    });
    const { url, publicKey } = await process.until('its address', ({ stdout }) => eventIn(stdout, listening));
    this.publicKey = publicKey;
    const replica = { process, url };
    this.#set([...this.all, replica]);
    return replica;
  }

  /** Ends one without warning; the balancer finds out by itself. */
  async kill(url: string | null): Promise<void> {
    const victim = this.all.find((replica) => replica.url === url);
    if (victim === undefined) throw new Error(`no replica at ${url}`);
    victim.process.kill('SIGKILL');
    await victim.process.ended;
    this.all = this.all.filter((replica) => replica !== victim);
  }

  /** Puts a new one in the place of each that was killed, as a cluster does. */
  async replace(count: number): Promise<void> {
    this.#set(this.all);
    await Promise.all(Array.from({ length: count }, () => this.startOne()));
  }

  admin(url = this.url): AdminApi {
    const adminKey = readAdminKey(this.#shared.folder);
    return new AdminApi({ transport: this.#transport(url).send, retry: patient, adminKey });
  }

  /** The interface of one replica, or of the balancer, for one group; asks once unless it is to be patient. */
  api(url: string, identity: Identity, run: string, retry = once): AggregatorApi {
    const transport = this.#transport(url).send;
    return new AggregatorApi({ transport, identity, aggregatorKey: this.publicKey, run, retry });
  }

  async close(): Promise<void> {
    for (const { process } of this.all) process.kill('SIGKILL');
    for (const { close } of this.#transports) close();
    await Promise.all([this.balancer.close(), this.bucket.close(), this.#s3.close()]);
  }

  #set(all: readonly Replica[]): void {
    this.all = all;
    this.balancer.aim(all.map(({ url }) => url));
  }

  #transport(url: string): HttpTransport {
    const transport = httpTransport({ url });
    this.#transports.push(transport);
    return transport;
  }
}

/** Waits out whatever passes. */
export const patient = retryWith({ patienceMs: Number.POSITIVE_INFINITY });
