import { randomUUID } from 'node:crypto';
import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import type { UploadAnswer } from '../wire/http.ts';
import type { Aggregator } from './aggregator.ts';
import type { Member } from './members.ts';
import type { UploadsTable } from './store/tables.ts';

/** Uploads that a group may have open at once in a run: one for the step under way, one that was left behind. */
const MOST_OPEN = 2;

type Upload = Pick<UploadsTable, 'id' | 'digest' | 'size' | 'received' | 'complete'> & {
  readonly offsets: readonly number[];
};

/** Where the whole of an upload lies; a place of its own, so that nobody else's clean-up can touch it. */
export function updateKey(run: string, upload: string): string {
  return `updates/${run}/${upload}`;
}

function partKey(upload: string, offset: number): string {
  return `parts/${upload}/${offset}`;
}

function answerOf({ received, size, complete }: Upload): UploadAnswer {
  return { received, size, complete };
}

async function find({ db }: Aggregator, member: Member, digest: string): Promise<Upload | null> {
  const row = await db
    .selectFrom('uploads')
    .select(['id', 'digest', 'size', 'received', 'complete', 'offsets'])
    .where('run', '=', member.run)
    .where('group_id', '=', member.group_id)
    .where('digest', '=', digest)
    .executeTakeFirst();
  return row ?? null;
}

/** The upload of a group that is complete. Errors: UPLOAD_INCOMPLETE. */
export async function completeUpload(
  aggregator: Aggregator,
  member: Member,
  digest: string,
): Promise<{ id: string; blob: string; size: number }> {
  const upload = await find(aggregator, member, digest);
  if (upload?.complete === true) {
    return { id: upload.id, blob: updateKey(member.run, upload.id), size: upload.size };
  }
  const found = upload === null ? 'was not begun' : `has ${upload.received} of ${upload.size} bytes`;
  throw new PluralError('UPLOAD_INCOMPLETE', `the upload ${digest.slice(0, 12)} ${found}`, {
    hint: 'Upload all of it, then submit it.',
  });
}

/** Begins an upload, or says how far it is. Errors: BODY_TOO_LARGE; UPLOAD_RANGE for another size than before. */
export async function beginUpload(
  aggregator: Aggregator,
  member: Member,
  asked: { readonly digest: string; readonly size: number },
  mostBytes: number,
): Promise<UploadAnswer> {
  const { digest, size } = asked;
  if (size > mostBytes) {
    throw new PluralError(
      'BODY_TOO_LARGE',
      `an upload of ${size} bytes; this run takes at most ${mostBytes}`,
      {
        hint: 'An update of this run is smaller; group and aggregator may run different versions.',
      },
    );
  }
  const known = await find(aggregator, member, digest);
  if (known !== null) {
    if (known.size === size) return settled(aggregator, member, known);
    throw rangeError(`the upload was begun with ${known.size} bytes, not ${size}`);
  }
  await makeRoom(aggregator, member);
  await aggregator.db
    .insertInto('uploads')
    .values({
      id: randomUUID(),
      run: member.run,
      group_id: member.group_id,
      digest,
      size,
      received: 0,
      offsets: '[]',
      complete: false,
      touched_at: aggregator.clock.now(),
    })
    .onConflict((conflict) => conflict.columns(['run', 'group_id', 'digest']).doNothing())
    .execute();
  return answerOf((await find(aggregator, member, digest))!);
}

/** Gives up the uploads that the group touched longest ago. */
async function makeRoom(aggregator: Aggregator, member: Member): Promise<void> {
  const rows = await aggregator.db
    .selectFrom('uploads')
    .select('id')
    .where('run', '=', member.run)
    .where('group_id', '=', member.group_id)
    .orderBy('touched_at', 'desc')
    .offset(MOST_OPEN - 1)
    .execute();
  for (const { id } of rows) await forgetUpload(aggregator, id);
}

/** Removes an upload with all its bytes; one that was submitted is gone from the table and keeps its bytes. */
export async function forgetUpload({ db, blobs }: Aggregator, id: string): Promise<void> {
  const row = await db
    .deleteFrom('uploads')
    .where('id', '=', id)
    .returning(['run', 'offsets', 'complete'])
    .executeTakeFirst();
  if (row === undefined) return;
  const parts = row.offsets.map((offset) => partKey(id, offset));
  await blobs.delete(row.complete ? [updateKey(row.run, id)] : parts);
}

/**
 * Takes a chunk. One that was there before is acknowledged again. Errors: UPLOAD_INCOMPLETE where none was begun;
 * UPLOAD_RANGE for a gap or bytes beyond the end; UPLOAD_DIGEST where the whole is not what was announced.
 */
export async function takeChunk(
  aggregator: Aggregator,
  member: Member,
  { digest, offset, bytes }: { readonly digest: string; readonly offset: number; readonly bytes: Buffer },
): Promise<UploadAnswer> {
  const upload = await find(aggregator, member, digest);
  if (upload === null) {
    throw new PluralError('UPLOAD_INCOMPLETE', 'this upload was not begun, or was given up', {
      hint: 'Begin it with POST .../uploads.',
    });
  }
  const end = offset + bytes.byteLength;
  if (end > upload.size) throw rangeError(`bytes up to ${end} of an upload of ${upload.size}`);
  if (end <= upload.received) return settled(aggregator, member, upload);
  if (offset !== upload.received) {
    throw rangeError(`a chunk at ${offset}, the upload stands at ${upload.received}`);
  }
  await aggregator.blobs.write(partKey(upload.id, offset), bytes, { durable: false });
  const taken = await advance(aggregator, upload, offset, end);
  if (!taken) return takeChunk(aggregator, member, { digest, offset, bytes });
  return settled(aggregator, member, { ...upload, received: end, offsets: [...upload.offsets, offset] });
}

/** How far an upload is; one whose last byte is there is completed, also where a crash came in between. */
async function settled(aggregator: Aggregator, member: Member, upload: Upload): Promise<UploadAnswer> {
  const due = upload.received === upload.size && !upload.complete;
  return due ? complete(aggregator, member, upload) : answerOf(upload);
}

/** Moves an upload on, unless another request did: then nothing changes, and the answer is false. */
async function advance(
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

/** Puts the parts together, and checks that they are what was announced. */
async function complete(aggregator: Aggregator, member: Member, upload: Upload): Promise<UploadAnswer> {
  const { blobs, db } = aggregator;
  const keys = upload.offsets.map((offset) => partKey(upload.id, offset));
  const parts = await Promise.all(keys.map((key) => blobs.read(key)));
  const whole = Buffer.concat(parts.filter((part) => part !== null));
  if (whole.byteLength !== upload.size || sha256(whole) !== upload.digest) {
    // Another request may have completed it and removed the parts meanwhile.
    const now = await find(aggregator, member, upload.digest);
    if (now?.complete === true) return answerOf(now);
    await forgetUpload(aggregator, upload.id);
    throw new PluralError(
      'UPLOAD_DIGEST',
      `the upload is not the ${upload.digest.slice(0, 12)} it was begun as`,
      {
        hint: 'It is forgotten; upload it again.',
      },
    );
  }
  await blobs.write(updateKey(member.run, upload.id), whole, { durable: true });
  await db.updateTable('uploads').set({ complete: true }).where('id', '=', upload.id).execute();
  await blobs.delete(keys);
  aggregator.observe({ type: 'uploaded', run: member.run, group: member.group_id, bytes: upload.size });
  return answerOf({ ...upload, complete: true });
}

function rangeError(message: string): PluralError {
  return new PluralError('UPLOAD_RANGE', message, {
    hint: 'Ask where the upload stands (POST .../uploads) and go on from there.',
  });
}
