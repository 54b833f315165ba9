import type { Aggregator } from './aggregator.ts';
import { changeRun, resume } from './locked-run.ts';
import type { Database } from './store/database.ts';
import { asStoreError } from './store/trouble.ts';
import { forgetUpload } from './uploads.ts';

/** Uploads that nobody touched for so long are given up. */
const UPLOAD_KEPT_MS = 86_400_000;
/** Events that are kept per run, of those that a group can cause as often as it likes; all others are kept for ever. */
const EVENTS_KEPT: Readonly<Record<string, number>> = {
  refused: 1000,
  scored: 10_000,
  joined: 10_000,
  left: 10_000,
};
/** Submissions whose bytes are removed in one go. */
const SPENT_AT_ONCE = 200;

/** Ends the steps whose time has passed; the machine itself ignores a deadline that is not of its step. */
export async function passDeadlines(aggregator: Aggregator): Promise<void> {
  const due = await aggregator.db
    .selectFrom('runs')
    .select('id')
    .where('phase', '=', 'collecting')
    .where('deadline_at', '<=', aggregator.clock.now())
    .execute();
  for (const { id } of due) {
    await changeRun(aggregator, id, async (locked) => {
      const { deadline_at } = await locked.tx
        .selectFrom('runs')
        .select('deadline_at')
        .where('id', '=', id)
        .executeTakeFirstOrThrow();
      // Another replica may have been faster, and the next step have begun.
      if (deadline_at === null || deadline_at > aggregator.clock.now()) return;
      const before = locked.state;
      await locked.deliver({ type: 'deadline', round: before.round, step: before.step });
      // A patient step goes on waiting, and is not asked for again and again.
      if (locked.state === before) {
        await locked.tx.updateTable('runs').set({ deadline_at: null }).where('id', '=', id).execute();
      }
    });
  }
}

/** Asks again for folds that are due: whoever was to do them may be gone. */
export async function requestFolds(aggregator: Aggregator): Promise<void> {
  const due = await aggregator.db
    .selectFrom('runs')
    .select(['id', 'state'])
    .where('phase', '=', 'folding')
    .execute();
  for (const { id, state } of due) await resume(aggregator, id, state);
}

/** Removes the bytes of updates that are in a model, or of a run that has ended. */
async function dropSpent({ db, blobs }: Aggregator): Promise<void> {
  const spent = await db
    .selectFrom('submissions')
    .innerJoin('runs', 'runs.id', 'submissions.run')
    .select(['submissions.run', 'submissions.round', 'submissions.step', 'submissions.group_id', 'blob'])
    .where('kept', '=', true)
    .where((where) =>
      where.or([
        where('submissions.round', '<', where.ref('runs.round')),
        where('runs.phase', 'in', ['finished', 'stopped']),
      ]),
    )
    .limit(SPENT_AT_ONCE)
    .execute();
  await blobs.delete(spent.map(({ blob }) => blob));
  for (const { run, round, step, group_id } of spent) {
    await db
      .updateTable('submissions')
      .set({ kept: false })
      .where('run', '=', run)
      .where('round', '=', round)
      .where('step', '=', step)
      .where('group_id', '=', group_id)
      .execute();
  }
}

async function dropExpired({ db, clock }: Aggregator): Promise<void> {
  const now = clock.now();
  await db.deleteFrom('nonces').where('expires_at', '<', now).execute();
  await db.deleteFrom('invitations').where('expires_at', '<', now).execute();
}

async function dropStaleUploads(aggregator: Aggregator): Promise<void> {
  const stale = await aggregator.db
    .selectFrom('uploads')
    .select('id')
    .where('touched_at', '<', aggregator.clock.now() - UPLOAD_KEPT_MS)
    .execute();
  for (const { id } of stale) await forgetUpload(aggregator, id);
}

/** One look at all runs: an aggregator may have many, and few of them have too many events. */
async function dropOldEvents({ db }: Aggregator): Promise<void> {
  const fewest = Math.min(...Object.values(EVENTS_KEPT));
  const many = await db
    .selectFrom('events')
    .select(['run', 'type'])
    .where('type', 'in', Object.keys(EVENTS_KEPT))
    .groupBy(['run', 'type'])
    .having(({ fn }) => fn.countAll(), '>', fewest)
    .execute();
  for (const { run, type } of many) await dropOldest(db, run, type, EVENTS_KEPT[type] ?? fewest);
}

async function dropOldest(db: Aggregator['db'], run: string, type: string, kept: number): Promise<void> {
  const newest = await db
    .selectFrom('events')
    .select('seq')
    .where('run', '=', run)
    .where('type', '=', type)
    .orderBy('seq', 'desc')
    .offset(kept)
    .limit(1)
    .executeTakeFirst();
  if (newest === undefined) return;
  const old = db.deleteFrom('events').where('run', '=', run).where('type', '=', type);
  await old.where('seq', '<=', newest.seq).execute();
}

/** Removes all that is not needed any more. */
export async function cleanUp(aggregator: Aggregator): Promise<void> {
  await dropSpent(aggregator);
  await dropExpired(aggregator);
  await dropStaleUploads(aggregator);
  await dropOldEvents(aggregator);
}

/** How often, in milliseconds. */
const EVERY = { deadlines: 500, folds: 3000, cleaning: 20_000, maintenance: 60_000 } as const;

/** Does the aggregator's chores until it is stopped; every replica does them, and that does no harm. */
export function startChores(
  aggregator: Aggregator,
  { maintain }: Pick<Database, 'maintain'>,
): () => Promise<void> {
  const stops = [
    repeat(aggregator, 'deadlines', EVERY.deadlines, passDeadlines),
    repeat(aggregator, 'folds', EVERY.folds, requestFolds),
    repeat(aggregator, 'cleaning', EVERY.cleaning, cleanUp),
    repeat(aggregator, 'maintenance', EVERY.maintenance, notAtOnce(maintain)),
  ];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
}

/** Whoever starts after a kill is waited for: the first turn is left out. */
function notAtOnce(chore: () => Promise<void>): () => Promise<void> {
  let turns = 0;
  return async () => {
    if (turns++ > 0) await chore();
  };
}

/** A chore that fails is told of and tried again at its next turn. */
function repeat(
  aggregator: Aggregator,
  what: string,
  everyMs: number,
  chore: (aggregator: Aggregator) => Promise<void>,
): () => Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const once = async () => {
    try {
      await chore(aggregator);
    } catch (thrown) {
      aggregator.observe({ type: 'failed', what, error: asStoreError(thrown) });
    }
    if (!stopped) timer = setTimeout(turn, everyMs);
  };
  let underWay = Promise.resolve();
  const turn = () => {
    underWay = once();
  };
  turn();
  return () => {
    stopped = true;
    clearTimeout(timer);
    return underWay;
  };
}
