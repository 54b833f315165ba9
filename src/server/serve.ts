import type { AddressInfo } from 'node:net';
import { destination, type Logger, pino } from 'pino';
import { asPluralError, PluralError } from '../core/errors.ts';
import { readFileText } from '../core/files.ts';
import { buildApp } from './app.ts';
import { type Composed, compose } from './compose.ts';
import { checkListen, readSettings, type Settings } from './settings.ts';

/** File descriptor of standard error: results go to standard output, logs do not. */
const STDERR = 2;

export interface ServeOptions {
  readonly folder: string;
  /** Replaces the settings' database; from DATABASE_URL. */
  readonly databaseUrl: string | null;
  /** Schema in PostgreSQL; `pluralllm` without it. */
  readonly schema?: string | undefined;
  /** Replace the settings' host and port. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly logLevel: string;
}

/** An aggregator that listens. */
export interface Serving {
  readonly url: string;
  readonly publicKey: string;
  /** Answers no more requests, waits for the fold under way, closes its stores. */
  close(): Promise<void>;
}

/** One JSON object per line. Headers are never logged, so no key and no signature is. */
function createLogger(level: string): Logger {
  const base = { name: 'pluralllm-aggregator', pid: process.pid };
  return pino({ level, base }, destination({ fd: STDERR, sync: true }));
}

function readTls({ tls }: Settings): { cert: string; key: string } | null {
  return tls === null ? null : { cert: readFileText(tls.cert), key: readFileText(tls.key) };
}

function addressOf(address: AddressInfo | string | null, tls: boolean): string {
  if (address === null || typeof address === 'string') return String(address);
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${tls ? 'https' : 'http'}://${host}:${address.port}`;
}

async function listen(
  { services, database, close }: Composed,
  settings: Settings,
  logger: Logger,
): Promise<Serving> {
  const { host, port } = settings.listen;
  const tls = readTls(settings);
  const app = await buildApp(services, { tls, trustProxy: settings.trustProxy, logger });
  try {
    await app.listen({ host, port });
  } catch (thrown) {
    throw new PluralError(
      'CONFIG_CONFLICT',
      `cannot listen on ${host}:${port}: ${asPluralError(thrown).message}`,
      {
        hint: 'Another program may use the port; choose another with --port.',
        cause: thrown,
      },
    );
  }
  const url = addressOf(app.server.address(), tls !== null);
  const { publicKey } = services.aggregator.identity;
  logger.info({ url, database, publicKey }, 'listening');
  const closeAll = async () => {
    await app.close();
    await close();
  };
  return { url, publicKey, close: closeAll };
}

/**
 * Starts an aggregator from its folder, and goes on with whatever an earlier process left. Errors: FOLDER_NOT_READY,
 * FOLDER_IN_USE, CONFIG_CONFLICT, STORE_UNAVAILABLE, and those of the settings.
 */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { folder, databaseUrl, schema = 'pluralllm', logLevel } = options;
  const stored = readSettings(folder);
  const { host = stored.listen.host, port = stored.listen.port } = options;
  const settings: Settings = { ...stored, listen: { host, port } };
  checkListen(settings);
  const log = createLogger(logLevel);
  const place = { folder, databaseUrl: databaseUrl ?? settings.database, schema };
  const composed = await compose(place, settings, log);
  try {
    return await listen(composed, settings, log);
  } catch (thrown) {
    await composed.close();
    throw thrown;
  }
}
