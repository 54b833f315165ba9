import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { changeRun } from '../../src/server/locked-run.ts';
import { createRun } from '../../src/server/runs.ts';
import type { Database } from '../../src/server/store/database.ts';
import { migrate } from '../../src/server/store/migrations.ts';
import { openTestAggregator, type TestAggregator, tinyPlan } from '../support/test-aggregator.ts';

/** What the suite needs to know about a kind of database. */
export interface StoreCase {
  readonly name: string;
  /** Opens an empty one, and again as another replica would; the same handle twice where only one process may have it. */
  readonly open: () => Promise<readonly [Database, Database]>;
}

const RUNS = { numRuns: 60 };
const UNIQUE_VIOLATION = { code: '23505' };

/** Finite numbers; neither JSON nor the driver of PostgreSQL tells the two zeros apart. */
const doubles = fc
  .oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.maxSafeInteger(),
    fc.constantFrom(Number.MAX_VALUE, Number.MIN_VALUE, 0.1 + 0.2),
  )
  .map((value) => value + 0);
/** Text as JSON columns can hold it: they have no U+0000 and no half of a surrogate pair. */
const texts = fc
  .string({ unit: 'binary', maxLength: 20 })
  .map((text) => text.replaceAll(/[\0\p{Cs}]/gu, '~'));
const objects = fc.dictionary(
  texts,
  fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constant(null),
      fc.boolean(),
      doubles,
      texts,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(texts, tie('value'), { maxKeys: 4 }),
    ),
  })).value,
  { maxKeys: 4 },
);

/** What every kind of database promises; called from the test of the store. */
export function storeConformance({ name, open }: StoreCase): void {
  describe(`conformance of the store "${name}"`, () => {
    let databases: readonly [Database, Database];
    let replicas: readonly [TestAggregator, TestAggregator];
    let run: string;

    beforeAll(async () => {
      databases = await open();
      const [one, other] = databases;
      replicas = [await openTestAggregator({ database: one }), await openTestAggregator({ database: other })];
      run = (await createRun(replicas[0].aggregator, { name: 'kept', plan: tinyPlan() })).run;
    });

    afterAll(async () => {
      for (const replica of replicas ?? []) await replica.close();
      for (const database of new Set(databases)) await database.close();
    });

    const notes = async () => {
      const { db } = databases[1];
      const all = db.selectFrom('events').select('data').where('run', '=', run).where('type', '=', 'note');
      return (await all.orderBy('seq').execute()).map(({ data }) => data['note']);
    };

    test('migrations that run again, one after the other or at once, change nothing', async () => {
      const { db, schema } = databases[0];
      const before = await db.selectFrom('runs').selectAll().execute();
      await migrate(db, schema);
      await Promise.all(databases.flatMap((each) => [migrate(each.db, schema), migrate(each.db, schema)]));
      expect(await db.selectFrom('runs').selectAll().execute()).toEqual(before);
      const { rows } = await sql`select name from kysely_migration`.execute(db);
      const names = ['001-initial', '002-sums-only', '003-sharded', '004-newcomers'];
      expect(rows).toEqual(names.map((name) => ({ name })));
    });

    test('JSON comes back as it was', async () => {
      const [{ db }, other] = databases;
      await fc.assert(
        fc.asyncProperty(objects, async (data) => {
          const row = { run, at: 0, type: 'value', data: JSON.stringify(data) };
          const { seq } = await db
            .insertInto('events')
            .values(row)
            .returning('seq')
            .executeTakeFirstOrThrow();
          const kept = await other.db.selectFrom('events').select('data').where('seq', '=', seq).execute();
          expect(kept).toEqual([{ data: JSON.parse(JSON.stringify(data)) }]);
        }),
        RUNS,
      );
    });

    test('numbers come back to the last bit, and as numbers', async () => {
      const [{ db }, other] = databases;
      await fc.assert(
        fc.asyncProperty(doubles, doubles, async (alignment, loss) => {
          const row = { run, round: 1, group_id: 'g', questions: 7, alignment, loss };
          await db.deleteFrom('scores').execute();
          await db.insertInto('scores').values(row).execute();
          expect(await other.db.selectFrom('scores').selectAll().execute()).toEqual([row]);
        }),
        RUNS,
      );
    });

    test('bytes come back as they were', async () => {
      const [{ db }, other] = databases;
      const { run: id } = await createRun(replicas[0].aggregator, { name: 'bytes', plan: tinyPlan() });
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 3000, size: 'max' }), async (bytes) => {
          const stored = Buffer.from(bytes);
          await db.updateTable('runs').set({ strategy_state: stored }).where('id', '=', id).execute();
          const kept = await other.db
            .selectFrom('runs')
            .select('strategy_state')
            .where('id', '=', id)
            .executeTakeFirstOrThrow();
          expect(Buffer.compare(kept.strategy_state, stored)).toBe(0);
        }),
        RUNS,
      );
    });

    test('changes of one run at once see each other, through whatever handle', async () => {
      const changes = Array.from({ length: 20 }, (_, index) =>
        changeRun(replicas[index % 2]!.aggregator, run, async (locked) => {
          const all = locked.tx.selectFrom('events').where('run', '=', run).where('type', '=', 'note');
          const { count } = await all
            .select(({ fn }) => fn.countAll<string>().as('count'))
            .executeTakeFirstOrThrow();
          await locked.event('note', { note: Number(count) });
        }),
      );
      await Promise.all(changes);
      // Each counted all that were written before it, in the order in which they are told.
      expect(await notes()).toEqual(Array.from({ length: 20 }, (_, index) => index));
    });

    test('a change that fails leaves nothing of it, and the run can be changed', async () => {
      const before = await notes();
      const failing = changeRun(replicas[0].aggregator, run, async (locked) => {
        await locked.event('note', { note: 'lost' });
        await locked.deliver({ type: 'join', group: 'lost' });
        throw new Error('on the way');
      });
      await expect(failing).rejects.toThrow('on the way');
      expect(await notes()).toEqual(before);
      const { aggregator } = replicas[1];
      expect(await changeRun(aggregator, run, async ({ state }) => state.enrolled)).toEqual([]);
    });

    test('what may be there once is there once, also when two write it at once', async () => {
      const rows = { nonce: 'n', public_key: 'k', expires_at: 1 };
      const member = { run, group_id: 'g', public_key: 'k', joined_at: 1, left_at: null };
      const submission = { run, round: 1, step: 0, group_id: 'g', digest: 'd', blob: 'b' };
      const record = JSON.stringify({});
      const writers: ((database: Database) => Promise<unknown>)[] = [
        ({ db }) => db.insertInto('nonces').values(rows).execute(),
        ({ db }) =>
          db
            .insertInto('members')
            .values({ ...member, revoked_at: null, last_seen_at: null })
            .execute(),
        ({ db }) =>
          db
            .insertInto('members')
            // Another name with the same key.
            .values({ ...member, group_id: 'h', revoked_at: null, last_seen_at: null })
            .execute(),
        ({ db }) =>
          db
            .insertInto('submissions')
            .values({ ...submission, size: 1, capacity: 0, accepted_at: 1, kept: true })
            .execute(),
        ({ db }) =>
          db
            .insertInto('models')
            .values({ run, round: 1, record, uploaded_bytes: 1, published_at: 1 })
            .execute(),
      ];
      const outcomes = await Promise.all(
        writers.map(async (write) =>
          (await Promise.allSettled(databases.map(write))).map(({ status }) => status),
        ),
      );
      const done = outcomes.flat().filter((status) => status === 'fulfilled');
      expect(done).toHaveLength(writers.length - 1);
      for (const write of writers) await expect(write(databases[0])).rejects.toMatchObject(UNIQUE_VIOLATION);
    });
  });
}
