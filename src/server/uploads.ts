import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import type { UploadAnswer } from '../wire/http.ts';
import type { Aggregator } from './aggregator.ts';
import type { Gate } from './gate.ts';
import type { Member } from './members.ts';
import { advance, deleteRow, find, findOrOpen, partKey, type Upload, updateKey } from './upload-rows.ts';
import type { WorkMemory } from './work-memory.ts';

function answerOf({ received, size, complete }: Upload): UploadAnswer {
  return { received, size, complete };
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
  gate: Gate,
  member: Member,
  asked: { readonly digest: string; readonly size: number },
  mostBytes: number,
): Promise<UploadAnswer> {
  const { size } = asked;
  if (size > mostBytes) {
    throw new PluralError(
      'BODY_TOO_LARGE',
      `an upload of ${size} bytes; this run takes at most ${mostBytes}`,
      {
        hint: 'An update of this run is smaller; group and aggregator may run different versions.',
      },
    );
  }
  const { upload, dropped } = await findOrOpen(aggregator, member, asked);
  await aggregator.blobs.delete(dropped);
  if (upload.size === size) return settled(aggregator, gate, member, upload);
  throw rangeError(`the upload was begun with ${upload.size} bytes, not ${size}`);
}

/** Removes an upload with all its bytes; one that was submitted is gone from the table and keeps its bytes. */
export async function forgetUpload(aggregator: Aggregator, id: string): Promise<void> {
  await aggregator.blobs.delete(await deleteRow(aggregator, id));
}

/** Parts of an upload that are too many to be meant well: each is a file, and a number that is written again for each. */
function mostParts(size: number): number {
  return 1000 + size / 4096;
}

/**
 * Takes a chunk. One that was there before is acknowledged again. Errors: UPLOAD_INCOMPLETE where none was begun;
 * UPLOAD_RANGE for a gap, bytes beyond the end or far too many chunks; UPLOAD_DIGEST where the whole is not what was announced.
 */
export async function takeChunk(
  aggregator: Aggregator,
  gate: Gate,
  member: Member,
  chunk: { readonly digest: string; readonly offset: number; readonly bytes: Buffer },
): Promise<UploadAnswer> {
  const { digest, offset, bytes } = chunk;
  const upload = await find(aggregator, member, digest);
  if (upload === null) throw notThere();
  const end = offset + bytes.byteLength;
  if (end > upload.size) throw rangeError(`bytes up to ${end} of an upload of ${upload.size}`);
  if (end <= upload.received) return settled(aggregator, gate, member, upload);
  if (offset !== upload.received) {
    throw rangeError(`a chunk at ${offset}, the upload stands at ${upload.received}`);
  }
  if (upload.offsets.length >= mostParts(upload.size)) {
    await forgetUpload(aggregator, upload.id);
    throw rangeError(`the upload came in ${upload.offsets.length} chunks and is given up: send larger ones`);
  }
  await aggregator.blobs.write(partKey(upload.id, offset), bytes, { durable: false });
  if (await advance(aggregator, upload, offset, end)) {
    const offsets = [...upload.offsets, offset];
    return settled(aggregator, gate, member, { ...upload, received: end, offsets });
  }
  await dropLatePart(aggregator, member, upload, offset);
  return takeChunk(aggregator, gate, member, chunk);
}

/** A part that was written while its upload was given up, or completed, belongs to nothing. */
async function dropLatePart(
  aggregator: Aggregator,
  member: Member,
  { id, digest }: Upload,
  offset: number,
): Promise<void> {
  const now = await find(aggregator, member, digest);
  if (now?.id === id && !now.complete) return;
  await aggregator.blobs.delete([partKey(id, offset)]);
}

function notThere(): PluralError {
  return new PluralError('UPLOAD_INCOMPLETE', 'this upload was not begun, or was given up', {
    hint: 'Begin it with POST .../uploads.',
  });
}

/** How far an upload is; one whose last byte is there is completed, also where a crash came in between. */
async function settled(
  aggregator: Aggregator,
  gate: Gate,
  member: Member,
  upload: Upload,
): Promise<UploadAnswer> {
  const due = upload.received === upload.size && !upload.complete;
  if (!due) return answerOf(upload);
  return gate.run((memory) => complete(aggregator, memory, member, upload.digest));
}

/**
 * The bytes of all parts, one file open at a time; null where some are missing. Of a part that is longer than was noted only
 * the beginning counts: another replica stored it late, when the upload had gone on in smaller ones.
 */
async function joined(
  { blobs }: Aggregator,
  memory: WorkMemory,
  { id, offsets, size }: Upload,
): Promise<Buffer | null> {
  const whole = memory.take(size);
  for (const [index, offset] of offsets.entries()) {
    const length = (offsets[index + 1] ?? size) - offset;
    const part = await blobs.read(partKey(id, offset), whole.subarray(offset));
    if (part === null || part.byteLength < length) return null;
    if (part.buffer !== whole.buffer) part.copy(whole, offset, 0, length);
  }
  return whole;
}

/** Puts the parts together, and checks that they are what was announced. The gate bounds the memory that this takes. */
async function complete(
  aggregator: Aggregator,
  memory: WorkMemory,
  member: Member,
  digest: string,
): Promise<UploadAnswer> {
  const { blobs, db } = aggregator;
  // Another request may have completed it, or given it up, while this one waited.
  const upload = await find(aggregator, member, digest);
  if (upload === null) throw notThere();
  if (upload.complete) return answerOf(upload);
  const whole = await joined(aggregator, memory, upload);
  if (whole === null || sha256(whole) !== digest) {
    // Another replica may have completed it and removed the parts meanwhile.
    const now = await find(aggregator, member, digest);
    if (now?.complete === true) return answerOf(now);
    await forgetUpload(aggregator, upload.id);
    throw new PluralError('UPLOAD_DIGEST', `the upload is not the ${digest.slice(0, 12)} it was begun as`, {
      hint: 'It is forgotten; upload it again.',
    });
  }
  const key = updateKey(member.run, upload.id);
  await blobs.write(key, whole, { durable: true });
  const changed = await db
    .updateTable('uploads')
    .set({ complete: true })
    .where('id', '=', upload.id)
    .executeTakeFirst();
  await blobs.delete(upload.offsets.map((offset) => partKey(upload.id, offset)));
  if (changed.numUpdatedRows === 0n) return lateCompletion(aggregator, member, upload);
  aggregator.observe({ type: 'uploaded', run: member.run, group: member.group_id, bytes: upload.size });
  return answerOf({ ...upload, complete: true });
}

/** While it was completed, another replica did that too and it was submitted, or it was given up and belongs to nothing. */
async function lateCompletion(
  { blobs, db }: Aggregator,
  { run }: Member,
  upload: Upload,
): Promise<UploadAnswer> {
  const key = updateKey(run, upload.id);
  const submissions = db.selectFrom('submissions').select('digest').where('run', '=', run);
  const submitted = await submissions.where('blob', '=', key).where('kept', '=', true).executeTakeFirst();
  if (submitted !== undefined) return answerOf({ ...upload, complete: true });
  await blobs.delete([key]);
  throw notThere();
}

function rangeError(message: string): PluralError {
  return new PluralError('UPLOAD_RANGE', message, {
    hint: 'Ask where the upload stands (POST .../uploads) and go on from there.',
  });
}
