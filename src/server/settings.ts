import { join, resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { PluralError } from '../core/errors.ts';
import { readFileText } from '../core/files.ts';
import { parseOptions } from '../core/options.ts';

/** The settings file in an aggregator's folder. */
export const SETTINGS_FILE = 'aggregator.yaml';

const MINUTE_LIMIT = z.int().min(1);

/** All that an aggregator can be told; paths are relative to its folder. */
export const settingsSchema = z.strictObject({
  listen: z
    .strictObject({
      host: z.string().min(1).default('127.0.0.1'),
      /** 0 takes a free port. */
      port: z.int().min(0).max(65_535).default(8790),
    })
    .prefault({}),
  /** Address that invitations name; null: the one it listens on. */
  publicUrl: z
    .url({ protocol: /^https?$/ })
    .nullable()
    .default(null),
  /** PEM files. Without them it speaks plain HTTP, which is allowed on loopback only. */
  tls: z
    .strictObject({ cert: z.string().min(1), key: z.string().min(1) })
    .nullable()
    .default(null),
  /** Allows plain HTTP beyond loopback: behind a proxy that does TLS. */
  insecureHttp: z.boolean().default(false),
  /** Takes the address of a request from the proxy in front (X-Forwarded-For). */
  trustProxy: z.boolean().default(false),
  /** PostgreSQL URL; null: the database inside the process. DATABASE_URL replaces it. */
  database: z.string().min(1).nullable().default(null),
  blobs: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('disk'), folder: z.string().min(1).default('blobs') }),
      z.strictObject({
        kind: z.literal('s3'),
        bucket: z.string().min(1),
        prefix: z.string().default(''),
        region: z.string().min(1).default('us-east-1'),
        /** Of an S3-compatible server; null: that of AWS. */
        endpoint: z.url().nullable().default(null),
        forcePathStyle: z.boolean().default(true),
      }),
    ])
    .prefault({ kind: 'disk' }),
  limits: z
    .strictObject({
      /** Longest chunk of an upload. */
      chunkBytes: z
        .int()
        .min(16_384)
        .max(64 * 2 ** 20)
        .default(2 ** 20),
      /** Requests a minute from one address without a signature, and from one key. */
      anonymousPerMinute: MINUTE_LIMIT.default(600),
      perKeyPerMinute: MINUTE_LIMIT.default(6000),
      /** Submissions that are checked at once: each takes its own size in memory. */
      checksAtOnce: z.int().min(1).max(64).default(3),
    })
    .prefault({}),
});
export type Settings = z.output<typeof settingsSchema>;

/** The settings of a folder. Errors: FOLDER_NOT_READY, CONFIG_UNKNOWN_KEY, CONFIG_INVALID. */
export function readSettings(folder: string): Settings {
  const path = join(folder, SETTINGS_FILE);
  let raw: unknown;
  try {
    raw = parse(readFileText(path));
  } catch (thrown) {
    if (thrown instanceof PluralError && thrown.code !== 'FILE_NOT_FOUND') throw thrown;
    throw new PluralError('FOLDER_NOT_READY', `${folder} is not the folder of an aggregator`, {
      hint: `Make one: pluralllm aggregator init ${folder}`,
      cause: thrown,
    });
  }
  const settings = parseOptions('aggregator', settingsSchema, raw);
  const place = (path_: string) => resolve(folder, path_);
  const { tls, blobs } = settings;
  return {
    ...settings,
    tls: tls === null ? null : { cert: place(tls.cert), key: place(tls.key) },
    blobs: blobs.kind === 'disk' ? { ...blobs, folder: place(blobs.folder) } : blobs,
  };
}

/** Settings as the file that `readSettings` reads. */
export function settingsYaml(settings: Settings): string {
  return `# Settings of a pluralllm aggregator; docs/deployment.md has every key.\n${stringify(settings)}`;
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

/** Plain HTTP leaves the machine only where somebody said so. Errors: CONFIG_CONFLICT. */
export function checkListen({ listen, tls, insecureHttp }: Settings): void {
  if (tls !== null || insecureHttp || LOOPBACK.has(listen.host)) return;
  throw new PluralError('CONFIG_CONFLICT', `plain HTTP on ${listen.host} would be readable on the way`, {
    hint: 'Set tls.cert and tls.key, or insecureHttp: true where a proxy in front does TLS.',
  });
}
