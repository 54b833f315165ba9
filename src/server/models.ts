import { bytesOf, float32From } from '../core/bytes.ts';
import { sha256 } from '../core/digest.ts';
import { PluralError } from '../core/errors.ts';
import { makeModel } from '../wire/model.ts';
import { type ModelRecord, recordDigest, signRecord } from '../wire/model-record.ts';
import type { Model } from '../wire/stages.ts';
import type { Aggregator } from './aggregator.ts';
import type { LockedRun } from './locked-run.ts';

/** Most records in one answer. */
const MOST_RECORDS = 1000;

function modelKey(digest: string): string {
  return `models/${digest}`;
}

/** Keeps the bytes that a record will name by their digest, durable when this returns. */
export function keepBytes({ blobs }: Aggregator, digest: string, bytes: Uint8Array): Promise<void> {
  return blobs.write(modelKey(digest), bytes, { durable: true });
}

/** The same of a model's parameters. */
export function keepModel(aggregator: Aggregator, { digest, parameters }: Model): Promise<void> {
  return keepBytes(aggregator, digest, bytesOf(parameters));
}

/** What a record names; CHECKPOINT_CORRUPT where it is not what was kept. */
export async function readBytes({ blobs }: Aggregator, { round, model }: ModelRecord): Promise<Uint8Array> {
  const bytes = await blobs.read(modelKey(model));
  if (bytes !== null && sha256(bytes) === model) return bytes;
  throw new PluralError('CHECKPOINT_CORRUPT', `the stored model of round ${round} is missing or damaged`, {
    hint: 'Restore the blob store from a backup.',
  });
}

/** The parameters of a model, where the aggregator has it in clear. Errors: CHECKPOINT_CORRUPT. */
export async function readModel(aggregator: Aggregator, record: ModelRecord): Promise<Model> {
  return makeModel(record.round, float32From(await readBytes(aggregator, record)));
}

/** A part of a model's bytes, or of the sealed sum in its place; null where there is no such model. */
export function readModelRange(
  { blobs }: Aggregator,
  digest: string,
  offset: number,
  length: number,
): Promise<Buffer | null> {
  return blobs.readRange(modelKey(digest), offset, length);
}

/** The newest record of a run, in whatever transaction. */
export async function newestRecord({ tx, run }: Pick<LockedRun, 'tx' | 'run'>): Promise<ModelRecord> {
  const row = await tx
    .selectFrom('models')
    .select('record')
    .where('run', '=', run)
    .orderBy('round', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow();
  return row.record;
}

/** Signs a model and publishes it, in the transaction that moves the run on. */
export async function publishModel(
  { identity, clock }: Aggregator,
  locked: Pick<LockedRun, 'tx' | 'run' | 'digest'>,
  published: {
    readonly model: Pick<Model, 'round' | 'digest'>;
    readonly previous: ModelRecord | null;
    readonly updates: number;
    readonly uploadedBytes: number;
  },
): Promise<ModelRecord> {
  const { model, previous, updates, uploadedBytes } = published;
  const record = signRecord(identity, {
    run: locked.digest,
    round: model.round,
    model: model.digest,
    previous: previous === null ? null : recordDigest(previous),
    updates,
  });
  await locked.tx
    .insertInto('models')
    .values({
      run: locked.run,
      round: model.round,
      record: JSON.stringify(record),
      uploaded_bytes: uploadedBytes,
      published_at: clock.now(),
    })
    .execute();
  return record;
}

/** Records of the rounds after `after`, ascending. */
export async function recordsAfter({ db }: Aggregator, run: string, after: number): Promise<ModelRecord[]> {
  const rows = await db
    .selectFrom('models')
    .select('record')
    .where('run', '=', run)
    .where('round', '>', after)
    .orderBy('round')
    .limit(MOST_RECORDS)
    .execute();
  return rows.map(({ record }) => record);
}

/** The record of one round; null where it is not published. */
export async function recordOf({ db }: Aggregator, run: string, round: number): Promise<ModelRecord | null> {
  const row = await db
    .selectFrom('models')
    .select('record')
    .where('run', '=', run)
    .where('round', '=', round)
    .executeTakeFirst();
  return row?.record ?? null;
}
