import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresDriver,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  type TransactionSettings,
} from 'kysely';
import type { BlobStore } from '../../src/server/blobs/blob-store.ts';
import type { Database } from '../../src/server/store/database.ts';
import { preparing } from '../../src/server/store/prepared.ts';
import type { Tables } from '../../src/server/store/tables.ts';

/** The process is gone: nothing that it would still have done happens. */
export class Dead extends Error {}

/** Is told of work that takes time. */
export type Hold = <Result>(work: () => Promise<Result>) => Promise<Result>;

/** How long a process of the aggregator lives, in operations of its stores: after the last, none happens any more. */
export class Life {
  #left = Number.POSITIVE_INFINITY;
  #dead = false;

  get dead(): boolean {
    return this.#dead;
  }

  /** Dies so many operations from now, unless it dies earlier. */
  shorten(operations: number): void {
    this.#left = Math.min(this.#left, operations);
  }

  end(): void {
    this.#dead = true;
  }

  /** Before each operation. */
  spend(): void {
    if (!this.#dead && this.#left-- > 0) return;
    this.#dead = true;
    throw new Dead('the aggregator was killed');
  }
}

class MortalConnection implements DatabaseConnection {
  readonly inner: DatabaseConnection;
  readonly #life: Life;
  readonly #hold: Hold;

  constructor(inner: DatabaseConnection, life: Life, hold: Hold) {
    this.inner = inner;
    this.#life = life;
    this.#hold = hold;
  }

  executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    this.#life.spend();
    return this.#hold(() => this.inner.executeQuery<Row>(query));
  }

  streamQuery<Row>(query: CompiledQuery, chunkSize?: number): AsyncIterableIterator<QueryResult<Row>> {
    this.#life.spend();
    return this.inner.streamQuery<Row>(query, chunkSize);
  }
}

function innerOf(connection: DatabaseConnection): DatabaseConnection {
  return connection instanceof MortalConnection ? connection.inner : connection;
}

/** The driver of a process that may die. What a dead one had begun and not committed is rolled back, as a server does. */
class MortalDriver implements Driver {
  readonly #inner: Driver;
  readonly #life: Life;
  readonly #hold: Hold;

  constructor({ pool }: Database, life: Life, hold: Hold) {
    this.#inner = new PostgresDriver({ pool: preparing(pool) });
    this.#life = life;
    this.#hold = hold;
  }

  init(): Promise<void> {
    return this.#inner.init();
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    return new MortalConnection(await this.#inner.acquireConnection(), this.#life, this.#hold);
  }

  beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    return this.#inner.beginTransaction(connection, settings);
  }

  commitTransaction(connection: DatabaseConnection): Promise<void> {
    return this.#inner.commitTransaction(connection);
  }

  rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    return this.#inner.rollbackTransaction(innerOf(connection));
  }

  releaseConnection(connection: DatabaseConnection): Promise<void> {
    return this.#inner.releaseConnection(innerOf(connection));
  }

  /** The pool is of whoever opened it. */
  async destroy(): Promise<void> {}
}

/** A database as a process sees it that may die; what was committed stays in the one below. */
export function mortalDatabase(database: Database, life: Life, hold: Hold): Database {
  const dialect: Dialect = {
    createDriver: () => new MortalDriver(database, life, hold),
    createAdapter: () => new PostgresAdapter(),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createIntrospector: (db) => new PostgresIntrospector(db),
  };
  return { ...database, db: new Kysely<Tables>({ dialect }), close: async () => undefined };
}

/**
 * Blobs as a process sees them that may die; `hold` is told of what takes time. `losePower` takes away what was not written
 * to last, as the end of the whole machine would.
 */
export function mortalBlobs(
  blobs: BlobStore,
  life: Life,
  hold: Hold,
): BlobStore & { losePower(): Promise<void> } {
  const fleeting = new Set<string>();
  const alive = <Result>(work: () => Promise<Result>): Promise<Result> =>
    hold(async () => {
      life.spend();
      return work();
    });
  return {
    write: (key, bytes, options) => {
      if (!options.durable) fleeting.add(key);
      return alive(() => blobs.write(key, bytes, options));
    },
    read: (key) => alive(() => blobs.read(key)),
    readRange: (key, offset, length) => alive(() => blobs.readRange(key, offset, length)),
    delete: async (keys) => {
      // One after the other, so that it may die between two.
      for (const key of keys) await alive(() => blobs.delete([key]));
    },
    close: async () => undefined,
    losePower: () => blobs.delete([...fleeting]),
  };
}
