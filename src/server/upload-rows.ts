import { randomUUID } from 'node:crypto';
import type { Transaction } from 'kysely';
import type { Aggregator } from './aggregator.ts';
import type { Member } from './members.ts';
import type { Tables, UploadsTable } from './store/tables.ts';

/** Uploads that a group may have open at once in a run: one for the step under way, one that was left behind. */
const MOST_OPEN = 2;

/** An upload as its chunks are checked against. */
export type Upload = Pick<UploadsTable, 'id' | 'digest' | 'size' | 'received' | 'complete'> & {
  readonly offsets: readonly number[];
};

/** Where the whole of an upload lies; a place of its own, so that nobody else's clean-up can touch it. */
export function updateKey(run: string, upload: string): string {
  return `updates/${run}/${upload}`;
}

/** Where a part lies. */
export function partKey(upload: string, offset: number): string {
  return `parts/${upload}/${offset}`;
}

/** The row of a group's upload; null where there is none. */
export async function find(
  { db }: Pick<Aggregator, 'db'>,
  member: Member,
  digest: string,
): Promise<Upload | null> {
  const row = await db
    .selectFrom('uploads')
    .select(['id', 'digest', 'size', 'received', 'complete', 'offsets'])
    .where('run', '=', member.run)
    .where('group_id', '=', member.group_id)
    .where('digest', '=', digest)
    .executeTakeFirst();
  return row ?? null;
}

/** The row of an upload, made where there is none, and the blobs of those that were given up for it. */
export function findOrOpen(
  { db, clock }: Aggregator,
  member: Member,
  { digest, size }: { readonly digest: string; readonly size: number },
): Promise<{ upload: Upload; dropped: string[] }> {
  const { run, group_id } = member;
  return db.transaction().execute(async (tx) => {
    // Those who begin at once as one group wait for each other: else each would find room, and all together fill the disk.
    const own = tx.selectFrom('members').select('group_id').where('run', '=', run);
    await own.where('group_id', '=', group_id).forUpdate().execute();
    const known = await find({ db: tx }, member, digest);
    if (known !== null) return { upload: known, dropped: [] };
    const dropped = await makeRoom(tx, member);
    const fresh = { id: randomUUID(), digest, size, received: 0, complete: false };
    await tx
      .insertInto('uploads')
      .values({ ...fresh, run, group_id, offsets: '[]', touched_at: clock.now() })
      .execute();
    return { upload: { ...fresh, offsets: [] }, dropped };
  });
}

/** Gives up the uploads that the group touched longest ago; their blobs. */
async function makeRoom(tx: Transaction<Tables>, member: Member): Promise<string[]> {
  const rows = await tx
    .selectFrom('uploads')
    .select('id')
    .where('run', '=', member.run)
    .where('group_id', '=', member.group_id)
    .orderBy('touched_at', 'desc')
    .offset(MOST_OPEN - 1)
    .execute();
  const dropped: string[] = [];
  for (const { id } of rows) dropped.push(...(await deleteRow({ db: tx }, id)));
  return dropped;
}

/** Removes an upload from the table; all blobs that can be left of it, one that is being written among them. */
export async function deleteRow({ db }: Pick<Aggregator, 'db'>, id: string): Promise<string[]> {
  const row = await db
    .deleteFrom('uploads')
    .where('id', '=', id)
    .returning(['run', 'offsets', 'received'])
    .executeTakeFirst();
  if (row === undefined) return [];
  const parts = [...row.offsets, row.received].map((offset) => partKey(id, offset));
  return [...parts, updateKey(row.run, id)];
}

/** Moves an upload on, unless another request did: then nothing changes, and the answer is false. */
export async function advance(
  { db, clock }: Aggregator,
  { id, offsets }: Upload,
  from: number,
  to: number,
): Promise<boolean> {
  const changed = await db
    .updateTable('uploads')
    .set({ received: to, offsets: JSON.stringify([...offsets, from]), touched_at: clock.now() })
    .where('id', '=', id)
    .where('received', '=', from)
    .executeTakeFirst();
  return changed.numUpdatedRows === 1n;
}
