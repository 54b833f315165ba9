import type { PostgresCursor, PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely';
import type pg from 'pg';

/** Statements with more values are made for one occasion: a list of rows of some length. */
const MOST_VALUES = 16;

/** Gives each text a name, by which the database finds its plan again. */
class Names {
  readonly #names = new Map<string, string>();

  of(text: string): string {
    const known = this.#names.get(text) ?? `s${this.#names.size}`;
    this.#names.set(text, known);
    return known;
  }
}

/** One for the process: a connection may be used through more than one pool of this kind. */
const names = new Names();

class PreparingClient implements PostgresPoolClient {
  readonly #client: pg.PoolClient;

  constructor(client: pg.PoolClient) {
    this.#client = client;
  }

  query<Row>(text: string, values: readonly unknown[]): Promise<PostgresQueryResult<Row>>;
  query<Row>(cursor: PostgresCursor<Row>): PostgresCursor<Row>;
  query(text: unknown, values: readonly unknown[] = []): unknown {
    const statement = { text: String(text), values: [...values] };
    const once = values.length === 0 || values.length > MOST_VALUES;
    return this.#client.query(once ? statement : { ...statement, name: names.of(statement.text) });
  }

  release(destroy?: boolean): void {
    this.#client.release(destroy);
  }
}

/**
 * A pool whose connections parse and plan each statement once: in the embedded database that is most of a small query's
 * time. Not for a PostgreSQL behind a pooler, which may give each statement another connection.
 */
export function preparing(pool: pg.Pool): PostgresPool {
  return {
    connect: async () => new PreparingClient(await pool.connect()),
    end: () => pool.end(),
  };
}
